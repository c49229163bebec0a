"""What a warehouse's own SQL does not know, as far as sqlglot can tell, each in one line that says what to write."""

from collections.abc import Callable, Iterator

import sqlglot
from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import ErrorLevel, SqlglotError
from sqlglot.tokenizer_core import Token, TokenType

CLOUDS = ("snowflake", "bigquery", "redshift")

Rule = tuple[tuple[str, ...], Callable[[exp.Expression], bool], str]

_RULES: tuple[Rule, ...] = (
    (CLOUDS, lambda node: isinstance(node, exp.Command), "has a statement that nobody reads"),
    (CLOUDS, lambda node: isinstance(node, exp.Filter), "has `filter (where ...)`; write sum(case when ... end)"),
    (
        CLOUDS,
        lambda node: isinstance(node, exp.Distinct) and bool(node.args.get("on")),
        "has `distinct on`; number the rows with row_number()",
    ),
    (("bigquery", "redshift"), lambda node: isinstance(node, exp.Lateral), "has a lateral join; write a join"),
    (
        ("redshift",),
        lambda node: isinstance(node, exp.NullSafeNEQ | exp.NullSafeEQ),
        "has `is distinct from`; write {{ distinct_from(...) }}",
    ),
    (
        ("bigquery", "snowflake"),
        lambda node: isinstance(node, exp.AtTimeZone),
        "has `at time zone`; write {{ reporting_date(...) }}",
    ),
    (
        ("bigquery",),
        lambda node: isinstance(node, exp.WithinGroup),
        "has `within group`, which is no aggregate there; rank the rows with row_number()",
    ),
    (
        ("bigquery",),
        lambda node: isinstance(node, exp.In) and isinstance(node.this, exp.Tuple) and bool(node.args.get("query")),
        "has `(a, b) in (select ...)`; write exists",
    ),
    (
        ("bigquery",),
        lambda node: isinstance(node, exp.DataType) and node.this == exp.DataType.Type.DECIMAL and _places(node) > 9,
        "has a decimal of more than 9 places; write {{ rate(...) }} or {{ money(...) }}",
    ),
    (
        ("redshift",),
        lambda node: isinstance(node, exp.With) and node.recursive and any(map(_is_unnamed, node.expressions)),
        "has a recursive query without names of columns; write {{ recursive_columns([...]) }}",
    ),
    (
        ("redshift",),
        lambda node: isinstance(node, exp.WindowSpec) and node.args.get("kind") == "RANGE",
        "has a window by `range`; write `rows`",
    ),
    (
        ("bigquery",),
        lambda node: isinstance(node, exp.Update | exp.Delete) and not node.args.get("where"),
        "changes every row without `where`; write where true",
    ),
    (("redshift",), lambda node: isinstance(node, exp.Array), "has an array; keep a row per element"),
)  # fmt: skip

# Of functions that sqlglot takes in any dialect.
_MISSING = {
    "snowflake": {
        "string_agg", "arg_max", "arg_max_null", "arg_min", "epoch", "epoch_us", "bool_or", "bool_and",
        "generate_series", "unnest", "make_date", "strftime", "to_days", "range", "list", "age", "date_add", "date_sub",
        "quantile_cont",
    },
    "bigquery": {
        "arg_max", "arg_max_null", "arg_min", "epoch", "epoch_us", "bool_or", "bool_and", "generate_series",
        "make_date", "strftime", "to_char", "to_days", "range", "list", "age", "datediff", "dateadd", "listagg",
        "quantile_cont", "regexp_matches", "date_part",
    },
    "redshift": {
        "array_agg", "string_agg", "max_by", "min_by", "arg_max", "arg_max_null", "arg_min", "epoch", "epoch_us",
        "generate_series", "unnest", "make_date", "strftime", "to_days", "range", "list", "concat_ws", "date_add",
        "date_sub", "age", "countif", "count_if", "quantile_cont", "mode", "regexp_matches", "div", "divide",
    },
}  # fmt: skip

# Types by the word that is written: sqlglot reads every engine's words everywhere.
_FOREIGN_TYPES = {
    "bigquery": {"varchar", "text", "char", "double", "real", "float4", "float8", "number"},
    "snowflake": set[str](),
    "redshift": {"string", "float64", "int64", "bignumeric", "hugeint"},
}


def faults(sql: str, dialect: str) -> Iterator[str]:
    """Yield what *sql* says that *dialect* does not know; nothing where it reads well."""
    if dialect in CLOUDS:
        yield from _faults_in_words(sql, dialect)
    try:
        trees = sqlglot.parse(sql, read=dialect, error_level=ErrorLevel.RAISE)
    except SqlglotError as error:
        yield f"cannot be parsed: {str(error).splitlines()[0]}"
        return
    for tree in trees:
        if tree is None:
            continue
        for dialects, is_fault, what in _RULES:
            if dialect in dialects and any(is_fault(node) for node in tree.walk()):
                yield what
        try:
            tree.sql(dialect=dialect, unsupported_level=ErrorLevel.RAISE)
        except SqlglotError as error:
            yield f"says what is not supported: {str(error).splitlines()[0]}"


def _faults_in_words(sql: str, dialect: str) -> Iterator[str]:
    tokens = Dialect.get_or_raise(dialect).tokenize(sql)
    yield from sorted(set(_words_in(tokens, dialect)))


def _words_in(tokens: list[Token], dialect: str) -> Iterator[str]:
    for token, after in zip(tokens, [*tokens[1:], None], strict=True):
        word = token.text.lower()
        is_call = after is not None and after.token_type == TokenType.L_PAREN
        if is_call and word in _MISSING[dialect]:
            yield f"calls {word}(), which is not there; write a macro with a word for each engine"
        if word in _FOREIGN_TYPES[dialect] and token.token_type not in {TokenType.STRING, TokenType.IDENTIFIER}:
            yield f"has the type {word}; write {{{{ dbt.type_string() }}}}, {{{{ type_double() }}}} or the like"
        if dialect == "bigquery":
            if token.token_type == TokenType.DCOLON:
                yield "has `::`; write cast(... as ...)"
            if token.token_type == TokenType.UNION and (after is None or after.text.lower() not in {"all", "distinct"}):
                yield "has a bare `union`; write {{ union_distinct() }}"
            if token.token_type == TokenType.INTERVAL and after is not None and " " in after.text:
                yield "has an interval in one text; write {{ dbt.dateadd(...) }}"


def _places(node: exp.Expression) -> int:
    parts = node.expressions
    return int(parts[1].name) if len(parts) > 1 else 0


def _is_unnamed(cte: exp.Expression) -> bool:
    name = cte.args["alias"].name
    is_recursive = any(table.name == name for table in cte.this.find_all(exp.Table))
    return is_recursive and not cte.args["alias"].args.get("columns")
