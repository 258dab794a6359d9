with final as (
    select
        products.*,
        categories.name_en as category_en
    from {{ ref('products') }} as products
    left join {{ ref('categories') }} as categories
        on products.source = categories.source and products.category = categories.category_id
)

select {{ contract_columns() }} from final
