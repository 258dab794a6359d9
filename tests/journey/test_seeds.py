"""What users may edit has to fit together."""

from tests.journey.machine import seed


def test_the_stages_are_the_path_and_the_two_detours() -> None:
    stages = seed("journey_stages")
    assert [int(stage["stage_number"]) for stage in stages] == list(range(1, len(stages) + 1))
    assert len(stages) <= 7  # a step of the machine has three bits per stage
    assert {s["stage"] for s in stages if s["kind"] == "detour"} == {"inactive", "lost"}
    for stage in stages:
        assert bool(stage["timeout_days"]) == (stage["kind"] == "path"), stage
        assert stage["business_goal"] and stage["teams"], stage


def test_moves_lead_from_stage_to_stage() -> None:
    stages = {s["stage"]: int(s["stage_number"]) for s in seed("journey_stages")}
    detours = {"inactive", "lost"}
    for move in seed("journey_transitions"):
        origin, target, cause = move["from_stage"], move["to_stage"], move["cause"]
        assert origin in {"start", *stages} and target in stages and origin != target, move
        if origin == "start":
            assert cause == "first contact", move
        elif target == "lost":
            assert cause == "lost", move
        elif origin in detours:
            assert cause == "win-back", move
        else:
            assert cause == ("next stage" if stages[target] > stages[origin] else "backward"), move


def test_every_action_says_what_it_does_to_the_stage() -> None:
    for action in seed("journey_actions"):
        evidence = {action["evidence"], action["evidence_of_repeat_customer"]}
        assert evidence <= {"entry", "lost", "activity", "none"}, action


def test_the_map_shows_the_figures_of_the_definitions() -> None:
    shown = {(row["stage"], row["kpi_id"]) for row in seed("journey_targets")}
    assert shown >= {
        ("awareness", "people_reached"),
        ("consideration", "new_website_visitors"),
        ("decision", "visitor_conversion_rate"),
        ("decision", "revenue"),
        ("service", "review_rating"),
        ("service", "customer_service_success_rate"),
        ("service", "waiting_time_hours"),
        ("loyalty", "retention_rate"),
        ("loyalty", "csat"),
    }
    assert {kpi for _, kpi in shown} <= {row["kpi_id"] for row in seed("kpis")}
    # reach of one channel says nothing of another's: never summed
    assert [r["part_dimension"] for r in seed("journey_targets") if r["part_dimension"]] == [
        "channel"
    ]
