"""A metric of one's own for orders.jsonl: what a wrong order costs.

    d8 darwin start examples/orders.jsonl --task extract --metric examples/metric.py

``expected`` is the object of the data set; ``answer`` is the object that the model gave, or its text where
it gave none. 1 is right, 0 is worthless.
"""


def metric(expected, answer):
    if not isinstance(answer, dict):
        return 0.0
    if answer.get("item") != expected["item"]:
        return 0.0
    # The wrong number of the right thing can still be put right by telephone.
    right_count = answer.get("count") == expected["count"]
    right_name = str(answer.get("name", "")).lower() == expected["name"].lower()
    return 0.4 + 0.4 * right_count + 0.2 * right_name
