select * from {{ source("raw", "event_conflicts") }}
