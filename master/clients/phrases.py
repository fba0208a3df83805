"""The phrasings that the copywriter chooses from. None states anything about the business by itself.

Fields in braces come from the brief. Spanish addresses the reader as "tú" in a warm or playful tone and
avoids addressing anyone otherwise.
"""

from __future__ import annotations

import enum

from tasks.client_brief import Language, Tone


class Register(enum.StrEnum):
    CLOSE = "close"
    FORMAL = "formal"


REGISTERS = {
    Tone.WARM: Register.CLOSE,
    Tone.PLAYFUL: Register.CLOSE,
    Tone.PROFESSIONAL: Register.FORMAL,
    Tone.ELEGANT: Register.FORMAL,
}

Phrases = dict[str, tuple[str, ...]]

_SPANISH_CLOSE: Phrases = {
    "headline": ("{Sector} en {city}", "Tu {sector} en {city}", "{name}, en {city}"),
    "services.food": ("Qué puedes pedir", "Lo que preparamos", "Para llevarte a casa"),
    "services.shop": ("Qué encontrarás", "Lo que tenemos", "Para elegir con calma"),
    "services": ("Lo que hacemos", "En qué podemos ayudarte", "Nuestros servicios"),
    "services.intro.priced": (
        "Con su precio, para que elijas con calma.",
        "Elige lo que te apetezca: el precio va al lado.",
        "Todo a la vista, también lo que cuesta.",
    ),
    "services.intro": ("Cuéntanos qué necesitas y hablamos.", "Si no ves lo que buscas, pregúntanos."),
    "about": ("Quiénes somos", "Conócenos", "Así trabajamos"),
    "about.intro": (
        "Te contamos quiénes somos y cómo trabajamos.",
        "Lo que hay detrás de {name}.",
        "Esto es {name}, contado por quienes lo hacemos.",
    ),
    "contact": ("Hablemos", "Contacto", "Dónde encontrarnos"),
    "contact.visit": ("Ven a vernos", "Pásate por aquí"),
    "contact.intro": ("Aquí tienes cómo encontrarnos.", "Elige la manera que te venga mejor."),
    "contact.intro.visit": (
        "Te esperamos en {city}.",
        "Estamos en {city}: pásate cuando quieras dentro del horario.",
    ),
    "closing": ("¿Hablamos?", "¿Te ayudamos?"),
    "closing.visit": ("Te esperamos", "¿Vienes a vernos?"),
    "closing.text.call": ("Llámanos y te atendemos con gusto.", "Una llamada y lo vemos juntos."),
    "closing.text.write": ("Escríbenos y te respondemos.", "Cuéntanos qué buscas en un correo."),
    "closing.text.visit": ("Estamos en {city}. Ven y lo ves.", "Pásate y te lo enseñamos."),
    "closing.text.services": ("Echa un vistazo a lo que hacemos.", "Mira con calma y elige."),
    "action.call": ("Llámanos",),
    "action.write": ("Escríbenos",),
    "action.visit": ("Ven a vernos", "Cómo llegar"),
    "action.services": ("Ver lo que hacemos", "Ver todo"),
    "faq": ("Preguntas frecuentes", "Lo que nos soléis preguntar"),
}
_SPANISH_FORMAL: Phrases = {
    "headline": ("{Sector} en {city}", "{name}, en {city}"),
    "services.food": ("La carta", "Propuesta"),
    "services.shop": ("Catálogo", "Selección"),
    "services": ("Servicios", "Áreas de trabajo"),
    "services.intro.priced": ("Relación de servicios y precios.", "Servicios y tarifas, con detalle."),
    "services.intro": ("Relación de servicios.", "Los servicios, uno a uno."),
    "about": ("Quiénes somos", "Sobre {name}"),
    "about.intro": ("Presentación de {name}.", "Quiénes somos y cómo trabajamos."),
    "contact": ("Contacto", "Datos de contacto"),
    "contact.visit": ("Contacto y dirección",),
    "contact.intro": ("Formas de contacto.", "Datos de contacto de {name}."),
    "contact.intro.visit": ("Dirección y datos de contacto en {city}.", "{name} atiende en {city}."),
    "closing": ("Contacto directo", "A su disposición"),
    "closing.visit": ("A su disposición en {city}",),
    "closing.text.call": ("Atendemos consultas por teléfono.", "Una llamada basta para empezar."),
    "closing.text.write": ("Atendemos consultas por correo.", "Un mensaje basta para empezar."),
    "closing.text.visit": ("La dirección y los datos de contacto, en una página.", "Atendemos en {city}."),
    "closing.text.services": ("Consulte la relación de servicios.", "Los servicios, con detalle."),
    "action.call": ("Llamar",),
    "action.write": ("Escribir",),
    "action.visit": ("Cómo llegar",),
    "action.services": ("Ver servicios",),
    "faq": ("Preguntas frecuentes", "Consultas habituales"),
}
_ENGLISH_CLOSE: Phrases = {
    "headline": ("{Sector} in {city}", "Your {sector} in {city}", "{name}, in {city}"),
    "services.food": ("What you can order", "What we make", "To take home"),
    "services.shop": ("What you will find", "What we have", "Take your pick"),
    "services": ("What we do", "How we can help", "Our services"),
    "services.intro.priced": (
        "With prices, so that you can choose in peace.",
        "Pick what you like: the price is beside it.",
        "Everything in plain sight, the price too.",
    ),
    "services.intro": ("Tell us what you need and we will talk.", "If you do not see it here, ask us."),
    "about": ("Who we are", "Meet us", "How we work"),
    "about.intro": (
        "Who we are and how we work.",
        "What is behind {name}.",
        "This is {name}, told by the people who run it.",
    ),
    "contact": ("Let us talk", "Get in touch", "How to reach us"),
    "contact.visit": ("Come and see us", "Drop in"),
    "contact.intro": ("Here is how to reach us.", "Choose whatever suits you."),
    "contact.intro.visit": ("You will find us in {city}.", "We are in {city}: drop in during opening hours."),
    "closing": ("Shall we talk?", "Can we help?"),
    "closing.visit": ("See you soon?", "Come and see us"),
    "closing.text.call": (
        "Give us a call and tell us what you need.",
        "One call and we will look at it together.",
    ),
    "closing.text.write": ("Write to us and we will answer.", "Tell us what you need in a message."),
    "closing.text.visit": ("We are in {city}. Come and have a look.", "Drop in and we will show you."),
    "closing.text.services": ("Have a look at what we do.", "Take your time and choose."),
    "action.call": ("Call us",),
    "action.write": ("Write to us",),
    "action.visit": ("Come and see us", "How to find us"),
    "action.services": ("See what we do", "See everything"),
    "faq": ("Questions and answers", "What people ask us"),
}
_ENGLISH_FORMAL: Phrases = {
    "headline": ("{Sector} in {city}", "{name}, {city}"),
    "services.food": ("Menu", "The menu"),
    "services.shop": ("Catalog", "Selection"),
    "services": ("Services", "Our services"),
    "services.intro.priced": (
        "Services and prices at a glance.",
        "What each service covers and what it costs.",
    ),
    "services.intro": ("Services at a glance.", "What each service covers."),
    "about": ("About us", "About {name}"),
    "about.intro": ("Who we are and how we work.", "About {name} and how we work."),
    "contact": ("Contact", "Contact details"),
    "contact.visit": ("Contact and address", "Where to find us"),
    "contact.intro": ("How to reach us.", "Contact details of {name}."),
    "contact.intro.visit": ("Our address and contact details in {city}.", "{name} is in {city}."),
    "closing": ("Get in touch", "Talk to us"),
    "closing.visit": ("Find us in {city}",),
    "closing.text.call": (
        "Call us with any question about our services.",
        "A phone call is enough to begin.",
    ),
    "closing.text.write": (
        "Write to us with any question about our services.",
        "A message is enough to begin.",
    ),
    "closing.text.visit": ("Our address and contact details on one page.", "We are in {city}."),
    "closing.text.services": ("See what each service covers.", "Our services in detail."),
    "action.call": ("Call us",),
    "action.write": ("Email us",),
    "action.visit": ("How to find us",),
    "action.services": ("See services", "View services"),
    "faq": ("Frequently asked questions", "Questions"),
}

PHRASES: dict[Language, dict[Register, Phrases]] = {
    Language.SPANISH: {Register.CLOSE: _SPANISH_CLOSE, Register.FORMAL: _SPANISH_FORMAL},
    Language.ENGLISH: {Register.CLOSE: _ENGLISH_CLOSE, Register.FORMAL: _ENGLISH_FORMAL},
}

#: What the model is asked to write; what it writes has to pass the fact check.
ASKS = {
    Language.SPANISH: {
        "lead": "Escribe una frase de presentación para la portada, con las palabras del texto de arriba.",
        "about.intro": "Escribe una frase que invite a conocer el negocio, con las palabras de arriba.",
    },
    Language.ENGLISH: {
        "lead": "Write one sentence that introduces the business, using the words of the text above.",
        "about.intro": "Write one sentence that invites to get to know the business, using the words above.",
    },
}
