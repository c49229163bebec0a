{{ config(tags=["gate"]) }}

{% for mart, key in [
    ("commission_ledger", ["source_id", "ledger_entry_id"]),
    ("commission_statement_monthly", ["source_id", "partner_id", "currency", "month"]),
    ("commissions", ["source_id", "commission_id"]),
    ("conversions", ["source_id", "conversion_id"]),
    ("fraud_rejections", ["source_id", "event_id"]),
    ("partner_economics", ["source_id", "partner_id", "month"]),
    ("partners", ["source_id", "partner_id"]),
    ("payouts", ["source_id", "payout_id"]),
] %}
    select '{{ mart }}' as mart, broken.*
    from ({{ broken_keys(ref(mart), key) }}) as broken {{ "union all" if not loop.last }}
{% endfor %}
