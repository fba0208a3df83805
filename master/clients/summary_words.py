"""The executive summary's labels in each language."""

from __future__ import annotations

from tasks.client_brief import Language

SUMMARY_WORDS: dict[Language, dict[str, str]] = {
    Language.SPANISH: {
        "message": "Mensaje principal", "what": "Qué incluye", "pages": "Páginas", "button": "Botón principal",
        "first": "Lo primero que busca quien visita", "look": "Aspecto", "weight": "Peso", "files": "archivos",
        "checks": "Comprobaciones de calidad superadas", "services": "Servicios", "missing": "Conviene completar",
        "page.home": "inicio", "page.services": "servicios", "page.about": "nosotros",
        "page.contact": "contacto", "page.faq": "preguntas",
        "need.offer": "qué se ofrece y cuánto cuesta", "need.place": "dónde está y cuándo abre",
        "need.people": "quién hay detrás y cómo trabaja",
        "gap.contact.phone": "sin teléfono no pueden llamar",
        "gap.contact.email": "sin correo no pueden escribir",
        "gap.contact.address": "sin dirección no pueden encontrar el sitio",
        "gap.hours": "sin horario no saben cuándo está abierto",
        "gap.domain": "sin dominio la web no lleva mapa del sitio ni direcciones canónicas",
        "gap.services": "algunos servicios no tienen precio",
        "gap.city": "ni la dirección ni la descripción mencionan la ciudad",
    },
    Language.ENGLISH: {
        "message": "Main message", "what": "What it contains", "pages": "Pages", "button": "Main button",
        "first": "What a visitor looks for first", "look": "Look", "weight": "Weight", "files": "files",
        "checks": "Quality checks passed", "services": "Services", "missing": "Worth completing",
        "page.home": "home", "page.services": "services", "page.about": "about",
        "page.contact": "contact", "page.faq": "questions",
        "need.offer": "what is on offer and what it costs", "need.place": "where it is and when it is open",
        "need.people": "who is behind it and how they work",
    },
}
