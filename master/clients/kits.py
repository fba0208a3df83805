"""Kinds of business, as far as they change a website: their words and their drawing."""

from __future__ import annotations

import enum
import re
import unicodedata

from tasks.client_look import Motif


class Kit(enum.StrEnum):
    FOOD = "food"
    SHOP = "shop"
    CARE = "care"
    REPAIR = "repair"
    ADVICE = "advice"
    LEARNING = "learning"
    STAY = "stay"
    DIGITAL = "digital"


#: What a model weighs when the words below do not settle it.
DESCRIPTIONS = {
    Kit.FOOD: "food and drink",
    Kit.SHOP: "a shop that sells goods",
    Kit.CARE: "health, beauty and care",
    Kit.REPAIR: "repairs, building and maintenance",
    Kit.ADVICE: "legal, financial or business advice",
    Kit.LEARNING: "teaching and training",
    Kit.STAY: "hotels, travel and leisure",
    Kit.DIGITAL: "software and design",
}
MOTIFS = {
    Kit.FOOD: Motif.GRAIN,
    Kit.SHOP: Motif.TILES,
    Kit.CARE: Motif.LEAVES,
    Kit.REPAIR: Motif.ORBITS,
    Kit.ADVICE: Motif.ARCHES,
    Kit.LEARNING: Motif.TILES,
    Kit.STAY: Motif.WAVES,
    Kit.DIGITAL: Motif.ORBITS,
}
#: Beginnings of words, without accents, in both languages.
_STEMS = {
    Kit.FOOD: (
        "panader obrador restaurant cafe cafeter bar taberna pasteler pizzer heladeria catering "
        "bakery bistro coffee cervecer bodega comida gastro food brewery deli"
    ),
    Kit.SHOP: (
        "tienda comercio tiendas librer floriste ferreter zapater papeler joyer boutique shop "
        "store bookshop florist grocer"
    ),
    Kit.CARE: (
        "clinic dental dentist fisioterap peluquer estetic masaj psicolog optic farmac veterinar "
        "yoga spa physio hairdress barber beauty massage therap salon podolog"
    ),
    Kit.REPAIR: (
        "taller reparac reforma fontaner electricist carpinter pintor cerrajer jardiner limpieza "
        "mecanic workshop repair plumb electrician carpent builder garden cleaning garage "
        "mechanic"
    ),
    Kit.ADVICE: (
        "abogad asesor gestor notari consultor inmobiliar seguros lawyer solicitor account "
        "consult notary estate insurance"
    ),
    Kit.LEARNING: (
        "academia escuela autoescuela guarder formacion clases school academy tutor training nursery"
    ),
    Kit.STAY: ("hotel hostal albergue casa-rural camping turism viajes guesthouse hostel travel tour inn"),
    Kit.DIGITAL: (
        "software aplicacion programac informatic saas agencia estudio diseno web app studio design"
    ),
}


def kits_of(sector: str) -> list[Kit]:
    """The kinds that the words of the sector name; none or several leave it to the model."""
    plain = unicodedata.normalize("NFKD", sector.lower()).encode("ascii", "ignore").decode("ascii")
    words = re.findall(r"[a-z-]+", plain)
    return [
        kit
        for kit, stems in _STEMS.items()
        if any(_begins(word, stem) for word in words for stem in stems.split())
    ]


def _begins(word: str, stem: str) -> bool:
    """Whether the word begins so; stems of up to four letters are whole words: "bar"."""
    return word == stem if len(stem) <= 4 else word.startswith(stem)
