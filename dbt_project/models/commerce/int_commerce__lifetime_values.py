"""What every customer will bring within 12 months, by the models fitted to buying up to today."""


def model(dbt, session):
    dbt.config(materialized="table")
    from dbt_project.enrichment.lifetime import predict

    fitted = dbt.ref("int_commerce__lifetime_models").order("cutoff desc").limit(1)
    today = fitted.project("cutoff").fetchone()
    histories = dbt.ref("int_commerce__purchase_histories")
    histories = histories.filter(f"cutoff = '{today[0]}'" if today else "false")
    return predict(
        histories.order("customer_id").to_arrow_table(),
        fitted.to_arrow_table(),
        months=12,
        annual_discount=float(dbt.config.meta_get("annual_discount")),
    )
