"""Passwords that are tried first, of those that are long enough for us: from the usual lists of leaks, in
English and Spanish, and what people make of a request for ten characters."""

from __future__ import annotations

COMMON: frozenset[str] = frozenset(
    """
0123456789 0987654321 1122334455 123123123123 1234554321 1234567890 12345678910 123456789a
1q2w3e4r5t 1q2w3e4r5t6y 1qaz2wsx3edc 9876543210 a123456789 aa12345678 aaaaaaaaaa abc1234567
abc123abc123 abcd123456 abcdef123456 abcdefghij abcdefghijk admin12345 admin123456 adminadmin
administrador administrator alejandro123 asdfghjkl123 asdfghjklñ azertyuiop barcelona123 baseball123
batman12345 bienvenida123 bienvenido bienvenido1 bienvenido123 changeme123 changemenow charlie123
chocolate1 chocolate123 clave12345 clave123456 computer123 contrasena contrasena1 contrasena12
contrasena123 contrasenia contraseña contraseña1 contraseña12 contraseña123
correcthorsebatterystaple d8d8d8d8d8 d8password debian12345 default123 diciembre2025 dragon12345
españa2024 españa2025 españa2026 estrella123 football123 futbol12345 guest12345 holahola12
holahola123 holamundo123 iloveyou12 iloveyou123 iloveyouforever internet123 invierno2026 january2026
jennifer123 letmein123 letmein1234 letmeinplease liverpool123 login12345 mariposa123 master12345
michael123 miclave123 micontrasena micontraseña monkey12345 mypassword noviembre2026 p4ssw0rd123
p@ssw0rd123 p@ssword123 passw0rd123 password12 password123 password1234 password12345
passwordpassword pi12345678 pokemon123 princess123 q1w2e3r4t5 qazwsxedcrfv qwerty1234 qwerty12345
qwerty123456 qwertyuiop qwertyuiop123 raspberry1 raspberry123 raspberrypi realmadrid realmadrid123
root123456 rootroot12 secreto123 september1 shadow12345 starwars123 summer2024 summer2025 summer2026
sunshine123 superman123 teamo12345 teamo123456 telegram123 tequiero123 tequieromucho test123456
testtest123 testtesttest trustno1234 ubuntu12345 verano2025 verano2026 welcome123 welcome1234
welcome2024 welcome2025 welcome2026 whatever123 winter2025 winter2026 zxcvbnm123
""".split()
)
