{#
    SQL: the day of the newest live event of whoever is not a test partner; what is open is aged to it, so that no age
    depends on when a build ran. The snapshots hold the newest event of each partner but those of the partner itself.
#}
{% macro newest_event_date() -%}
    (
        select {{ reporting_date("max(newest_events.occurred_at)") }}
        from
            (
                select source_id, partner_id, occurred_at
                from {{ ref("int_partner_snapshots") }}
                union all
                select source_id, partner_id, occurred_at
                from {{ ref("stg_raw__partner_events") }}
            ) as newest_events
        left join
            {{ ref("int_test_partners") }} as test_partners
            on newest_events.source_id = test_partners.source_id
            and newest_events.partner_id = test_partners.partner_id
        where test_partners.partner_id is null
    )
{%- endmacro %}
