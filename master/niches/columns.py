"""Which column of a keyword export holds what, whatever the language and the tool."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from tasks.record import Record


def _headers(names: str) -> frozenset[str]:
    return frozenset(name.strip() for name in names.split("|"))


#: Whole headers, folded. The tools' own words, in the languages of the markets.
_WHOLE: dict[str, frozenset[str]] = {
    "keyword": _headers(
        """keyword | keywords | keyword text | palabra clave | palabras clave | termino de busqueda | consulta
        | query | search term | mot cle | mots cles | suchbegriff | parola chiave | palavra chave
        | palavras chave"""
    ),
    "volume": _headers(
        """avg monthly searches | average monthly searches | monthly searches | searches | search volume
        | volume | volumen | volumen de busqueda | volumen de busquedas | busquedas | busquedas mensuales
        | promedio de busquedas mensuales | media de busquedas mensuales | busquedas mensuales promedio
        | moy recherches mensuelles | nombre moyen de recherches mensuelles | media ricerche mensili
        | durchschnittl suchanfragen pro monat | durchschnittliche suchanfragen pro monat
        | media de pesquisas mensais"""
    ),
    "currency": _headers("currency | currency code | moneda | divisa | devise | wahrung | valuta | moeda"),
    "yearly_change": _headers(
        "yoy change | year over year change | cambio interanual | variacion interanual | variation annuelle"
    ),
    "competition": _headers(
        "competition | competencia | concurrence | wettbewerb | concorrenza | concorrencia"
    ),
    "competition_index": _headers(
        """competition indexed value | competition index | competencia valor indexado
        | concurrence valeur indexee"""
    ),
    "cpc": _headers(
        "cpc | cost per click | coste por clic | costo por clic | avg cpc | cpc medio | bid | puja"
    ),
}

#: Bids: the wording changes with the interface, the parts of it do not.
_BID = re.compile(r"top of page|parte superior|haut de page|seitenanfang|parte alta|topo da pagina")
_LOW = re.compile(r"\b(low|bajo|baja|minimo|inferieure|basse|niedrig|unterer|bassa|inferior|baixo)\b")
_HIGH = re.compile(r"\b(high|alto|alta|maximo|superieure|elevee|hoch|oberer|superior)\b")
_MONTH = re.compile(
    r"^(?:searches|busquedas|recherches|suchanfragen|ricerche|pesquisas)\s+(?:de\s+)?"
    r"([a-z]+)\s+(?:de\s+)?(\d{4})$"
)

_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "jan january ene enero januar janvier janv gen gennaio janeiro",
            "feb february febrero februar fevrier fevr febbraio fev fevereiro",
            "mar march marzo marz mars mrz marco",
            "apr april abr abril avril avr aprile",
            "may mayo mai mag maggio maio",
            "jun june junio juni juin giu giugno junho",
            "jul july julio juli juillet juil lug luglio julho",
            "aug august ago agosto aout",
            "sep sept september septiembre septembre set settembre setembro",
            "oct october octubre okt oktober octobre ott ottobre out outubro",
            "nov november noviembre novembre novembro",
            "dec december dic diciembre dez dezember decembre dicembre dezembro",
        ),
        start=1,
    )
    for name in names.split()
}


class Columns(Record):
    """Positions in a row, from 0; None for a column that the file does not have."""

    keyword: int
    volume: int
    currency: int | None = None
    yearly_change: int | None = None
    competition: int | None = None
    competition_index: int | None = None
    bid_low: int | None = None
    bid_high: int | None = None
    #: (YYYY-MM, position) of each monthly column, oldest first.
    months: tuple[tuple[str, int], ...] = ()


def fold(text: str) -> str:
    """Lower case, without accents and punctuation, single spaces."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(character for character in decomposed if not unicodedata.combining(character))
    return " ".join(re.sub(r"[^\w]+", " ", bare).split())


def find_columns(cells: Sequence[str]) -> Columns | None:
    """The columns of a header row; None when the row is not a header with keyword and volume."""
    found: dict[str, int] = {}
    months: dict[str, int] = {}
    for position, cell in enumerate(cells):
        header = fold(cell)
        if month := _month(header):
            months.setdefault(month, position)
        elif name := _name(header):
            found.setdefault(name, position)
    if "keyword" not in found or "volume" not in found:
        return None
    both = found.pop("cpc", None)
    if both is not None:
        found.setdefault("bid_low", both)
        found.setdefault("bid_high", both)
    return Columns(**found, months=tuple(sorted(months.items())))


def _name(header: str) -> str:
    for name, headers in _WHOLE.items():
        if header in headers:
            return name
    if _BID.search(header):
        # "high" first: the Italian and Spanish words for the top of the page contain "alta".
        rest = _BID.sub(" ", header)
        return "bid_low" if _LOW.search(rest) else "bid_high" if _HIGH.search(rest) else ""
    return ""


def _month(header: str) -> str:
    found = _MONTH.match(header)
    if not found or found[1] not in _MONTHS:
        return ""
    return f"{found[2]}-{_MONTHS[found[1]]:02d}"
