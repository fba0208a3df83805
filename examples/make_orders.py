"""Makes orders.jsonl: messages with an order in them, and the order. Run it with ``python3 make_orders.py``.

They are put together by chance from phrases written for D8, so whoever knows the phrases knows all there
is to know: good for trying out ``d8 darwin start --task extract``, no measure of how well a model reads.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

NAMES = (
    "Ana", "Luis", "Marta", "Iván", "Rosa", "Pablo", "Elena", "Jorge", "Nuria", "Tomás", "Claire", "David",
    "Emma", "Frank", "Grace", "Henry", "Irene", "Jack", "Kate", "Liam",
)  # fmt: skip
ITEMS = {
    "en": ("loaves of bread", "boxes of oranges", "bags of coffee", "jars of honey", "bottles of oil"),
    "es": ("barras de pan", "cajas de naranjas", "bolsas de café", "tarros de miel", "botellas de aceite"),
}
DAYS = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"),
    "es": ("lunes", "martes", "miércoles", "jueves", "viernes", "sábado"),
}
#: The day is missing from some, and then from the order too.
PHRASES = {
    "en": (
        "Hi, {name} here. Could I have {count} {item} for {day}?",
        "Please put {count} {item} aside for {day}. Thanks, {name}",
        "We will be more people than we thought, so not two but {count} {item}, on {day} as agreed. {name}",
        "{day} works for me! {count} {item} as always. Best, {name}",
        "{name} from the corner shop: send {count} {item} when you can.",
        "Last week's {item} were very good, so {count} more of them please. Regards, {name}",
    ),
    "es": (
        "Hola, soy {name}. ¿Me guardáis {count} {item} para el {day}?",
        "Necesito {count} {item} el {day}, por favor. Gracias, {name}",
        "Al final somos más: en vez de dos, {count} {item}, y el {day} como dijimos. {name}",
        "El {day} me viene bien, {count} {item} como siempre. Un saludo, {name}",
        "De parte de {name}: {count} {item} cuando podáis.",
        "Tan ricos estaban que quiero {count} {item} más. Saludos de {name}",
    ),
}


def order(number: int) -> dict[str, object]:
    rng = random.Random(f"order {number}")
    language = ("en", "es")[number % 2]
    phrase = PHRASES[language][number // 2 % len(PHRASES[language])]
    found: dict[str, object] = {
        "name": rng.choice(NAMES),
        "count": rng.randint(3, 40),
        "item": rng.choice(ITEMS[language]),
    }
    day = rng.choice(DAYS[language])
    text = phrase.format(day=day, **found)
    return {"input": text, "expected": {**found, "day": day} if "{day}" in phrase else found}


if __name__ == "__main__":
    rows: dict[str, dict[str, object]] = {}
    number = 0
    while len(rows) < 180:
        row = order(number)
        rows.setdefault(str(row["input"]), row)
        number += 1
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows.values()]
    Path(__file__).with_name("orders.jsonl").write_text("".join(lines), encoding="utf-8")
