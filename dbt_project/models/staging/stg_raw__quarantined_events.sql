select * from {{ source("raw", "quarantined_events") }}
