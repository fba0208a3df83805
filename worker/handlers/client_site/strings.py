"""The site's fixed words in each language: navigation and labels."""

from __future__ import annotations

from tasks.client_brief import Language, Page

#: File of each page.
FILES = {
    Language.SPANISH: {
        Page.HOME: "index.html",
        Page.SERVICES: "servicios.html",
        Page.ABOUT: "nosotros.html",
        Page.CONTACT: "contacto.html",
        Page.FAQ: "preguntas.html",
    },
    Language.ENGLISH: {
        Page.HOME: "index.html",
        Page.SERVICES: "services.html",
        Page.ABOUT: "about.html",
        Page.CONTACT: "contact.html",
        Page.FAQ: "questions.html",
    },
}

NAVIGATION = {
    Language.SPANISH: {
        Page.HOME: "Inicio",
        Page.SERVICES: "Servicios",
        Page.ABOUT: "Nosotros",
        Page.CONTACT: "Contacto",
        Page.FAQ: "Preguntas",
    },
    Language.ENGLISH: {
        Page.HOME: "Home",
        Page.SERVICES: "Services",
        Page.ABOUT: "About",
        Page.CONTACT: "Contact",
        Page.FAQ: "Questions",
    },
}

LABELS = {
    Language.SPANISH: {
        "skip": "Saltar al contenido",
        "main_menu": "Menú principal",
        "footer_menu": "Menú del pie",
        "in": "en",
        "hours": "Horario",
        "days": "Días",
        "times": "Horas",
        "phone": "Teléfono",
        "email": "Correo",
        "address": "Dirección",
        "where": "Dónde estamos",
        "find_us": "Cómo encontrarnos",
        "all_services": "Ver todo",
        "more_about": "Seguir leyendo",
        "contact_page": "Ver contacto y horario",
        "missing_title": "Página no encontrada",
        "missing_text": "Esta dirección no lleva a ninguna página.",
        "go_home": "Volver al inicio",
        "see_more": "Más sobre",
        "glance": "De un vistazo",
    },
    Language.ENGLISH: {
        "skip": "Skip to content",
        "main_menu": "Main menu",
        "footer_menu": "Footer menu",
        "in": "in",
        "hours": "Opening hours",
        "days": "Days",
        "times": "Times",
        "phone": "Phone",
        "email": "Email",
        "address": "Address",
        "where": "Where we are",
        "find_us": "How to find us",
        "all_services": "See everything",
        "more_about": "Read on",
        "contact_page": "Contact and opening hours",
        "missing_title": "Page not found",
        "missing_text": "This address leads to no page.",
        "go_home": "Back to the home page",
        "see_more": "More about",
        "glance": "At a glance",
    },
}
