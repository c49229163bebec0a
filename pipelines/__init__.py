"""From closed segments to published marts: load with dlt, build with dbt, publish for readers."""
