{{
    config(
        unique_key=["source_id", "exception_subject_id"],
        touched_by="touched_exception_subjects",
    )
}}

with

    {{ conversions_to_judge() }},

    {{ commissions_to_judge() }},

    {{ payouts_to_judge() }},

    {{ partners_to_judge() }},

    {{ clicks_to_judge() }},

    {{ events_of_all_kinds() }},

    event_exceptions as (

        {% for rule in [
            "illegal_conversion_transition",
            "created_missing",
            "duplicate_business_key",
            "conversion_in_several_currencies",
            "rejection_category_mismatch",
            "approval_before_calculation",
            "approval_without_calculation",
            "commission_approved_again",
            "approval_variance",
            "approval_currency_mismatch",
            "duplicate_commission_calculated",
            "orphan_adjustment",
            "adjustment_chain_gap",
            "adjustment_does_not_add_up",
            "commission_in_several_currencies",
            "illegal_payout_transition",
            "payout_without_scheduled",
            "payout_currency_mismatch",
            "illegal_partner_transition",
            "registration_missing",
            "unknown_enum_value",
            "event_from_the_future",
            "missing_event_id",
            "version_disorder",
            "version_gap",
            "event_id_conflict",
        ] -%}
            {{ context["exception__" ~ rule]() }} {{ "union all" if not loop.last }}
        {% endfor %}

    )

select *
from event_exceptions
