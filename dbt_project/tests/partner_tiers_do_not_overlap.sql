with

    tiers as (select * from {{ ref("partner_tiers") }}),

    overlapping_spells as (

        select tiers.*
        from tiers
        left join
            tiers as others
            on tiers.source_id = others.source_id
            and tiers.partner_id = others.partner_id
            and tiers.plan = others.plan
            and others.effective_from > tiers.effective_from
        where
            tiers.effective_to <= tiers.effective_from
            or (
                others.partner_id is not null
                and (tiers.effective_to is null or tiers.effective_to > others.effective_from)
            )

    )

select *
from overlapping_spells
