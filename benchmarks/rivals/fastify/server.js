// The strongest receiver one would write by hand in Node: Fastify, and SQLite with one synced commit for all that waits.
"use strict";

const crypto = require("node:crypto");
const Database = require("better-sqlite3");
const fastify = require("fastify");

const [database, port] = process.argv.slice(2);
const secret = process.env.BENCH_SECRET;

const db = new Database(database);
db.pragma("journal_mode = WAL");
db.pragma("synchronous = FULL"); // in WAL mode: the log is synced before a commit returns
db.exec("create table webhook_events (id integer primary key, event_id text, event_type text, payload text)");
const insert = db.prepare("insert into webhook_events (event_id, event_type, payload) values (?, ?, ?)");
const insertAll = db.transaction((batch) => {
  for (const { event, body } of batch) insert.run(event.id, event.type, body);
});

let waiting = [];

// What arrives while a transaction runs is read in the next turn of the loop, and shares the next one.
function commit() {
  const batch = waiting;
  waiting = [];
  try {
    insertAll(batch);
  } catch (error) {
    for (const { reject } of batch) reject(error);
    return;
  }
  for (const { resolve } of batch) resolve();
}

function stored(event, body) {
  return new Promise((resolve, reject) => {
    if (waiting.length === 0) setImmediate(commit);
    waiting.push({ event, body, resolve, reject });
  });
}

function isGenuine(body, signature) {
  const expected = crypto.createHmac("sha256", secret).update(body).digest();
  const given = Buffer.from(signature ?? "", "hex");
  return given.length === expected.length && crypto.timingSafeEqual(given, expected);
}

const app = fastify({ bodyLimit: 1048576 });
app.addContentTypeParser("application/json", { parseAs: "buffer" }, (_request, body, done) => done(null, body));
app.post(
  "/webhooks/:source",
  {
    schema: {
      response: {
        200: { type: "object", properties: { status: { type: "string" }, event_id: { type: "string" } } },
      },
    },
  },
  async (request, reply) => {
    if (!isGenuine(request.body, request.headers["x-webhook-signature"])) {
      return reply.code(401).send({ status: "refused" });
    }
    const text = request.body.toString("utf8");
    const event = JSON.parse(text);
    if (typeof event.id !== "string" || typeof event.type !== "string" || typeof event.data !== "object") {
      return reply.code(400).send({ status: "refused" });
    }
    await stored(event, text);
    return { status: "accepted", event_id: event.id };
  },
);

process.on("SIGTERM", async () => {
  await app.close();
  db.close();
});
app.listen({ host: "127.0.0.1", port: Number(port) });
