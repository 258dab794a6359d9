"""BG/NBD and Gamma-Gamma, fitted to buying up to today and up to 90 days ago."""


def model(dbt, session):
    dbt.config(materialized="table")
    from dbt_project.enrichment.lifetime import fit_models

    # an order that tells nothing of the customers
    histories = dbt.ref("int_commerce__purchase_histories").order("md5(customer_id), cutoff")
    return fit_models(histories.to_arrow_table(), holdout_weeks=90 / 7)
