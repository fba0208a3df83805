"""The words of keywords: folding, and the modifiers that say how somebody searches, not for what."""

from __future__ import annotations

import re
import unicodedata

_WORD = re.compile(r"\w+")

#: Function words of the languages that markets use. They carry no subject.
_FUNCTION = """
a al con cual cuando cuanta cuantas cuanto cuantos como de del desde donde e el en entre es hay la las lo
los mas mi o para por que se segun sin sobre su sus tu un una unas uno unos y
an and are at best by can do does for from how i in is it my of on or the to vs what when where which why with
au aux avec ce comment dans des du et la le les ou par pas pour quel quelle sur un une
als auf aus bei das dem den der die ein eine einer fur ist mit nach oder und von was welche wie zu zum zur
che chi con cosa da dei del della delle di e gli i il in la le lo nel non per piu quale quanto su tra un una
ao as com da das do dos e em na no nos o os ou para pela pelo qual quanto que sem um uma
"""

#: Modifiers: they tell the intent, the place or the year, and glue unrelated subjects together.
_MODIFIERS = """
barata baratas barato baratos compra comprar comparar comparativa economica economico gratis mejor mejores
oferta ofertas online opinion opiniones precio precios presupuesto tienda tiendas venta cerca empresa empresas
contratar curso cursos 2024 2025 2026 2027
buy cheap cheapest cost free near me online price prices review reviews sale shop store top
acheter avis gratuit meilleur meilleure pas cher prix
beste billig gunstig kaufen kosten preis test vergleich
comprare economico migliore migliori prezzi prezzo recensioni
comprar melhor melhores preco precos barato
barcelona berlin bilbao bogota espana lima lisboa london madrid malaga mexico milano murcia paris roma sevilla
spain valencia zaragoza
"""

MODIFIERS = frozenset((_FUNCTION + _MODIFIERS).split())


def fold(text: str) -> str:
    """Lower case without accents: ``Café`` and ``cafe`` are one search."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def words(text: str) -> list[str]:
    """The folded words of a keyword, in order."""
    return _WORD.findall(fold(text))


def subject(text: str) -> str:
    """The keyword without modifiers; the whole keyword when nothing else is left."""
    kept = [word for word in words(text) if word not in MODIFIERS]
    return " ".join(kept) or " ".join(words(text)) or fold(text)
