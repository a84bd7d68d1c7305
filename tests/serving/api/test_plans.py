"""``/v1/plans``: waiting, not waiting, several at once."""

from __future__ import annotations

from tests.serving.api.conftest import GRAPH, MakeServed, Served


def test_a_plan_is_waited_for(served: Served) -> None:
    with served.worker:
        response = served.client().post("/v1/plans", json={"prompt": "a dog runs", "planner": "rules", "seed": 3})
    plan = response.json()
    assert response.status_code == 200
    assert (plan["object"], plan["status"], plan["progress"], plan["dsg"]) == ("plan", "completed", 100, GRAPH)
    assert (plan["planner"], plan["ticks"], plan["seed"], plan["degraded"]) == ("rules", 8, 3, None)
    assert served.client().get(f"/v1/plans/{plan['id']}").json() == plan
    assert served.client().get(f"/v1/plans/{plan['id']}/dsg").json() == GRAPH


def test_several_prompts_give_a_list_in_their_order(served: Served) -> None:
    prompts = ["a dog runs", "a cat sits", "an unplannable thing"]
    with served.worker:
        response = served.client().post("/v1/plans", json={"prompts": prompts})
    body = response.json()
    assert (response.status_code, body["object"], body["has_more"]) == (200, "list", False)
    assert [plan["prompt"] for plan in body["data"]] == prompts
    assert [plan["status"] for plan in body["data"]] == ["completed", "completed", "failed"]
    assert body["data"][2]["error"] == {"code": "planner_failed", "message": "no plan was found"}


def test_what_takes_longer_is_accepted(make: MakeServed) -> None:
    client = make(limits={"wait_seconds": 0.05}).client()
    slow = client.post("/v1/plans", json={"prompt": "a dog"})
    assert (slow.status_code, slow.json()["status"], slow.json()["dsg"]) == (202, "queued", None)
    ident = slow.json()["id"]
    assert client.get(f"/v1/plans/{ident}/dsg").json()["error"]["code"] == "not_ready"
    assert client.post(f"/v1/plans/{ident}/cancel").json()["status"] == "cancelled"
    assert client.delete(f"/v1/plans/{ident}").json() == {"id": ident, "deleted": True, "object": "plan.deleted"}
    assert client.get(f"/v1/plans/{ident}").status_code == 404


def test_in_the_background_nothing_is_waited_for(served: Served) -> None:
    client = served.client()
    response = client.post("/v1/plans", json={"prompts": ["a dog", "a cat"], "background": True})
    assert (response.status_code, len(response.json()["data"])) == (202, 2)
    found = client.get("/v1/plans", params={"search": "cat"}).json()
    assert [plan["prompt"] for plan in found["data"]] == ["a cat"]
    assert not client.get("/v1/videos").json()["data"]
    ident = found["data"][0]["id"]
    assert client.get(f"/v1/videos/{ident}").status_code == 404


def test_what_cannot_be_planned_is_refused(shared: Served) -> None:
    client = shared.client()
    for body, param, words in (
        ({}, "prompt", "either"),
        ({"prompt": "a", "prompts": ["b"]}, "prompt", "either"),
        ({"prompts": []}, "prompts", "at least 1"),
        ({"prompts": ["a"] * 65}, "prompts", "64"),
        ({"prompts": ["a", " "]}, "/prompts/1", "at least 1"),
        ({"prompt": "a", "planner": "gpt"}, "planner", "smollm2, rules"),
        ({"prompt": "a", "ticks": 0}, "ticks", "greater than"),
        ({"prompt": "a", "background": "perhaps"}, "background", "boolean"),
    ):
        response = client.post("/v1/plans", json=body)
        assert (response.status_code, response.json()["error"]["param"]) == (400, param), body
        assert words in response.json()["error"]["message"], body
    assert not shared.store.list(kind="plan").jobs


def test_an_idempotency_key_counts_for_each_prompt(shared: Served) -> None:
    body = {"prompts": ["a dog", "a dog"], "background": True}
    first, second = (
        shared.client().post("/v1/plans", json=body, headers={"Idempotency-Key": "k"}).json()["data"] for _ in range(2)
    )
    assert [plan["id"] for plan in first] == [plan["id"] for plan in second]
    assert len({plan["id"] for plan in first}) == 2


def test_the_planner_of_a_url_is_the_default(make: MakeServed) -> None:
    served = make(planner_url="http://127.0.0.1:9/v1")
    assert [each["id"] for each in served.client().get("/v1/planners").json()["data"]] == ["openai", "rules"]
    response = served.client().post("/v1/plans", json={"prompt": "a dog", "background": True})
    assert response.json()["planner"] == "openai"
