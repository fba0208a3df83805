"""Word lists of the fact check, folded (lower case, no accents)."""

from __future__ import annotations

from tasks.client_brief import Language

#: Claims of being above others. Only a client may make them about themselves.
SUPERLATIVES = {
    Language.SPANISH: (
        "el mejor",
        "la mejor",
        "los mejores",
        "las mejores",
        "mejor precio",
        "numero uno",
        "lider",
        "lideres",
        "unico en",
        "unica en",
        "inigualable",
        "inmejorable",
        "insuperable",
        "garantizado",
        "garantizada",
        "garantizamos",
        "mas barato",
        "mas barata",
        "premiado",
        "premiada",
        "galardonado",
        "galardonada",
        "de primera",
        "excelencia",
        "perfecto",
        "perfecta",
        "gratis",
        "gratuito",
        "gratuita",
    ),
    Language.ENGLISH: (
        "the best",
        "best in",
        "number one",
        "leading",
        "leader",
        "leaders",
        "the only",
        "unrivalled",
        "unrivaled",
        "unbeatable",
        "unmatched",
        "guaranteed",
        "guarantee",
        "cheapest",
        "finest",
        "award",
        "awarded",
        "award winning",
        "world class",
        "top rated",
        "perfect",
        "perfection",
        "free of charge",
        "renowned",
        "excellence",
    ),
}

#: Words that carry no fact: grammar. Negations and "every", "always", "only" are left out: they make claims.
FUNCTION_WORDS = {
    Language.SPANISH: frozenset(
        """a al ante bajo como con cual cuando de del desde donde e el ella ellas ellos en entre es esa esas
        ese eso esos esta estamos estan estas este esto estos estar hasta la las le les lo los me mi mis nos
        nosotros nosotras nuestra nuestras nuestro nuestros o os para por porque que quien quienes se ser si
        sobre somos son su sus tambien te tener tenemos tiene ti tu tus tan u un una unas uno unos usted
        ustedes vosotros y ya yo aqui asi ademas fue ha han he hemos hace hacemos hacer puedes puede podemos
        mismo misma""".split()
    ),
    Language.ENGLISH: frozenset(
        """a about also an and any are as at be been by can could do does for from has have he her here his
        how i if in into is it its just like make makes made me my of on one or our ours own she so some
        than that the their them then there these they this those through to too up us was we were what when
        where which while who will with would you your yours it's we're you're we'll you'll""".split()
    ),
}

#: Courtesies: a text may welcome and invite without stating anything about the business.
COURTESY_WORDS = {
    Language.SPANISH: frozenset(
        """bienvenido bienvenida bienvenidos bienvenidas ven venid visita visitanos visitarnos descubre
        descubrir conoce conocenos conocer llama llamanos llamarnos escribe escribenos escribirnos pregunta
        preguntanos encuentra encontraras encuentranos hablamos hablemos ayudarte ayudar atenderte atender
        escucharte esperamos espera gracias gusta gustara gusto encantados encantadas saber contarte
        cuentanos dinos trabajo trabajamos cuidado cuidamos cariño carino sencillo sencilla claro claramente
        ganas manera momento necesitas necesites buscas quieres quieras eliges elige disfruta disfrutar pasa
        pasate veras ver mira duda dudas consulta consultanos
        servicio servicios cliente clientes negocio""".split()
    ),
    Language.ENGLISH: frozenset(
        """welcome visit come drop pop discover find meet call write ask talk tell know help happy glad look
        looking forward hear see thank thanks enjoy love care simple simply plain clear clearly work working
        people need needs want wants choose choosing please pleased let share story question questions
        service services customer customers business hello hi stop say get touch today whatever ready take
        time things way ways""".split()
    ),
}

#: What an unfinished page would still contain.
PLACEHOLDERS = (
    "lorem ipsum",
    "dolor sit amet",
    "todo:",
    "tbd",
    "xxx",
    "[name]",
    "[city]",
    "{{",
    "}}",
    "{%",
    "your business",
    "tu negocio aqui",
    "undefined",
    "none</",
    ">none<",
    "placeholder",
    "example.com",
)
