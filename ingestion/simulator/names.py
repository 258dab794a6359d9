"""Names, places, telephone numbers and mailboxes of the simulated customers.

Pools are ordered from the most to the least frequent and drawn with Zipf-like weights, so that
people who share a name exist as they do in life. Every mail domain is reserved for examples.
"""

import re
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Array = np.ndarray[Any, Any]

LANGUAGES = ("de", "en", "pt", "ru")

_FEMALE = {
    "en": """Emma Olivia Sarah Emily Jessica Charlotte Sophie Elizabeth Hannah Grace Amelia Lucy
        Katherine Rebecca Laura Megan Chloe Rachel Jennifer Ashley Samantha Alice Eleanor Victoria
        Margaret Susan Linda Patricia Barbara Karen Nancy Helen Deborah Amanda Stephanie Nicole
        Melissa Abigail Isabella Mia Ava Ella Poppy Ruby Zoe Holly Molly Amy Claire Joanna Fiona
        Heather Diana Julia Christine Theresa Caroline Judith Evelyn Priya Aisha Fatima""",
    "de": """Anna Julia Laura Sabine Lena Katharina Petra Susanne Claudia Stefanie Andrea Nicole
        Monika Birgit Ursula Sarah Lisa Christina Melanie Martina Johanna Marie Hannah Lea Sophie
        Emma Mia Elena Vanessa Jasmin Jana Nadine Kerstin Karin Renate Brigitte Helga Gisela Ingrid
        Heike Silke Anja Tanja Franziska Theresa Magdalena Käthe Bärbel Ayşe Fatma Elif Greta Frieda
        Ida Clara Charlotte Luisa Miriam Ulrike Annegret Dörte""",
    "pt": """Maria Ana Juliana Fernanda Patrícia Mariana Beatriz Camila Amanda Letícia Larissa
        Gabriela Rafaela Carolina Aline Bruna Vanessa Bianca Luísa Helena Inês Catarina Joana Sofia
        Matilde Leonor Marta Sara Cláudia Sônia Mônica Adriana Márcia Luciana Simone Renata Daniela
        Débora Priscila Tatiana Vitória Lívia Isabela Alice Laura Lúcia Teresa Conceição Antônia
        Francisca Rita Cecília Raquel Sandra Elisa Eduarda Thaís Jéssica Natália Yasmin""",
    "ru": """Анна Елена Ольга Наталья Екатерина Татьяна Мария Ирина Светлана Анастасия Юлия
        Александра Дарья Ксения Евгения Виктория Марина Людмила Галина Надежда Вера Любовь Полина
        Алина София Валентина Кристина Оксана Лариса Яна Маргарита Вероника Елизавета Алёна Диана
        Валерия Инна Тамара Нина Лидия Зинаида Раиса Жанна Майя Ульяна Варвара Василиса Милана Арина
        Камила Айгуль Динара Асель Гульнара Мадина Алия Айжан Жанар Роза Эльвира""",
}
_MALE = {
    "en": """James John Thomas William Michael David Robert Daniel Christopher Matthew Andrew Joseph
        Alexander Oliver Jack Harry George Charles Edward Benjamin Samuel Joshua Richard Paul Mark
        Steven Kevin Brian Anthony Nicholas Jonathan Timothy Gregory Patrick Peter Simon Stephen
        Adam Luke Ryan Jacob Ethan Noah Liam Henry Arthur Oscar Leo Max Theodore Frederick Philip
        Martin Ian Graham Stuart Walter Douglas Raymond Mohammed Omar Raj""",
    "de": """Thomas Michael Andreas Stefan Christian Peter Alexander Martin Markus Daniel Klaus
        Wolfgang Jürgen Sebastian Florian Matthias Tobias Jan Lukas Maximilian Felix Paul Jonas Leon
        Ben Elias Frank Uwe Bernd Ralf Torsten Dirk Jörg Günter Hans Heinz Dieter Manfred Gerhard
        Werner Philipp Dominik Simon Johannes David Benjamin Patrick Kevin Robert Oliver Sven Björn
        Karsten Mehmet Mustafa Ali Friedrich Anton Emil Theodor Konrad Götz""",
    "pt": """João José Pedro Lucas Gabriel Rafael Carlos Paulo Antônio Marcos Luís Bruno Felipe
        Gustavo Mateus Rodrigo Eduardo Leonardo Fernando Ricardo Marcelo Thiago André Daniel Diego
        Vinícius Guilherme Henrique Miguel Francisco Tiago Rui Nuno Gonçalo Duarte Afonso Manuel
        Jorge Sérgio Roberto Cláudio Alexandre Fábio Márcio Renato César Otávio Vítor Davi Bernardo
        Heitor Artur Samuel Caio Igor Murilo Caetano Joaquim Mário Hélio Raimundo Sebastião""",
    "ru": """Александр Сергей Дмитрий Алексей Андрей Максим Иван Михаил Владимир Евгений Николай
        Артём Денис Павел Илья Роман Константин Виктор Олег Юрий Игорь Антон Никита Кирилл Вадим
        Станислав Виталий Анатолий Борис Пётр Григорий Василий Фёдор Степан Георгий Леонид Валерий
        Егор Тимофей Матвей Даниил Руслан Тимур Эдуард Ярослав Вячеслав Геннадий Семён Лев Захар
        Нурлан Ерлан Бауржан Асхат Данияр Арман Алишер Марат Ринат Айдар""",
}
_LAST = {
    "en": """Smith Jones Williams Johnson Brown Taylor Davies Wilson Evans Thomas Roberts Miller
        Davis Walker Wright Thompson White Hughes Edwards Green Hall Wood Harris Martin Jackson
        Clarke Lewis Clark Turner Hill Scott Cooper Morris Ward Moore King Watson Baker Harrison
        Morgan Patel Young Allen Mitchell James Anderson Phillips Lee Bell Parker Davidson Bennett
        Garcia Martinez Rodriguez Nguyen Khan Singh Murphy O'Brien Kelly O'Connor Campbell Stewart
        Robertson MacDonald Fraser Reid Murray Cox Gray Hunt Palmer Mills Barnes Knight Stone Webb
        Price Fisher Hayes Foster Brooks Chapman Ellis Grant Lane Rose""",
    "de": """Müller Schmidt Schneider Fischer Weber Meyer Wagner Becker Schulz Hoffmann Schäfer Koch
        Bauer Richter Klein Wolf Schröder Neumann Schwarz Zimmermann Braun Krüger Hofmann Hartmann
        Lange Schmitt Werner Krause Meier Lehmann Schmid Schulze Maier Köhler Herrmann König Walter
        Mayer Huber Kaiser Fuchs Peters Lang Scholz Möller Weiß Jung Hahn Vogel Friedrich Keller
        Günther Frank Berger Winkler Roth Beck Lorenz Baumann Franke Albrecht Schuster Simon Ludwig
        Böhm Winter Kraus Schumacher Krämer Vogt Stein Jäger Otto Sommer Groß Seidel Heinrich Brandt
        Haas Schreiber Graf Dietrich Ziegler Kuhn Kühn Pohl Engel Horn Busch Bergmann Yılmaz Kaya
        Demir Öztürk Gruber Pichler Auer Egger Wimmer Leitner Steiner Moser Mayr""",
    "pt": """Silva Santos Oliveira Souza Rodrigues Ferreira Alves Pereira Lima Gomes Costa Ribeiro
        Martins Carvalho Almeida Lopes Soares Fernandes Vieira Barbosa Rocha Dias Nascimento Andrade
        Moreira Nunes Marques Machado Mendes Freitas Cardoso Ramos Gonçalves Santana Teixeira Araújo
        Correia Azevedo Pinto Magalhães Batista Cavalcanti Monteiro Moura Campos Cunha Sousa Neves
        Simões Assunção Brandão Leitão Guimarães Peixoto""",
    "ru": """Иванов Смирнов Кузнецов Попов Васильев Петров Соколов Михайлов Новиков Фёдоров Морозов
        Волков Алексеев Лебедев Семёнов Егоров Павлов Козлов Степанов Николаев Орлов Андреев Макаров
        Никитин Захаров Зайцев Соловьёв Борисов Яковлев Григорьев Романов Воробьёв Сергеев Кузьмин
        Фролов Александров Дмитриев Королёв Гусев Киселёв Ильин Максимов Поляков Сорокин Виноградов
        Ковалёв Белов Медведев Антонов Тарасов Жуков Баранов Филиппов Комаров Давыдов Беляев
        Герасимов Богданов Осипов Сидоров Матвеев Титов Марков Миронов Крылов Куликов Карпов Власов
        Мельников Денисов Гаврилов Тихонов Казаков Афанасьев Данилов Савельев Тимофеев Фомин Чернов
        Абрамов Мартынов Ефимов Щербаков Назаров Калинин Исаев Чернышёв Быков Маслов Родионов
        Коновалов Лазарев Воронин Климов Филатов Пономарёв Голубев Кудрявцев Прохоров Наумов Потапов
        Журавлёв Овчинников Трофимов Леонов Соболев Ермаков Колесников Гончаров Емельянов Никифоров
        Грачёв Котов Гришин Ефремов Архипов Громов Кириллов Малышев Панов Моисеев Румянцев Акимов
        Кондратьев Бирюков Горбунов Анисимов Ерёмин Тихомиров Галкин Лукьянов Михеев Скворцов Юдин
        Белоусов Нестеров Симонов Прокофьев Харитонов Князев Цветков Левин Митрофанов Воронов
        Аксёнов Софронов Мальцев Логинов Горшков Савин Краснов Майоров Демидов Елисеев Рыбаков
        Сафонов Плотников Демин Хохлов Фадеев Молчанов Игнатов Литвинов Ершов Ушаков Дементьев
        Рябов Мухин Калашников Леонтьев Лобанов Кузин Корнеев Евдокимов Бородин Платонов Некрасов
        Балашов Бобров Жданов Блинов Игнатьев Нурланов Ахметов Ибраев Сулейменов Жумабаев Искаков
        Садыков Мусин Рахимов Каримов Байжанов Тулегенов Абдуллин Галиев Шарипов Хасанов Оспанов
        Касымов Алиев Омаров""",
}
# Less frequent names are put together of parts, as many of them were in the first place.
_COMPOUND = {
    "en": (
        "Ash Black Brad Har Kings Nor Ald Whit Hol Wes",
        "ford ton ley wood well by field worth bourne more combe wick",
    ),
    "de": (
        "Stein Berg Wald Linden Hasel Eichen Brunn Hohen Kirch Rosen",
        "bach mann hofer meier feld inger müller hauser berger thaler",
    ),
}

# Short forms, by the name as it is written in Latin letters; several are drawn from.
_NICKNAMES = {
    "en": """Alexander:Alex Alexander:Sandy Thomas:Tom James:Jim James:Jamie John:Jack William:Will
        William:Bill Michael:Mike David:Dave Robert:Bob Robert:Rob Daniel:Dan Christopher:Chris
        Matthew:Matt Andrew:Andy Joseph:Joe Charles:Charlie Edward:Ted Edward:Eddie Benjamin:Ben
        Samuel:Sam Joshua:Josh Richard:Rick Richard:Dick Steven:Steve Anthony:Tony Nicholas:Nick
        Jonathan:Jon Timothy:Tim Gregory:Greg Patrick:Pat Peter:Pete Stephen:Steve Theodore:Theo
        Frederick:Fred Philip:Phil Douglas:Doug Raymond:Ray Henry:Harry Jacob:Jake Elizabeth:Liz
        Elizabeth:Beth Katherine:Kate Katherine:Kathy Rebecca:Becky Jennifer:Jenny Samantha:Sam
        Eleanor:Ellie Victoria:Vicky Margaret:Maggie Margaret:Peggy Susan:Sue Patricia:Pat
        Barbara:Barb Deborah:Debbie Amanda:Mandy Stephanie:Steph Abigail:Abby Isabella:Bella
        Christine:Chris Theresa:Tess Caroline:Carrie Judith:Judy Jessica:Jess Emily:Em""",
    "de": """Alexander:Alex Thomas:Tom Michael:Micha Andreas:Andi Stefan:Steff Christian:Chris
        Peter:Pit Sebastian:Basti Florian:Flo Matthias:Matze Tobias:Tobi Lukas:Luki Maximilian:Max
        Wolfgang:Wolf Johannes:Hannes Benjamin:Ben Dominik:Nick Friedrich:Fritz Theodor:Theo
        Manfred:Manni Gerhard:Gerd Heinz:Heinzi Philipp:Phil Katharina:Kathi Stefanie:Steffi
        Susanne:Susi Andrea:Andi Christina:Tina Johanna:Hanna Magdalena:Leni Franziska:Franzi
        Theresa:Resi Brigitte:Gitti Ursula:Uschi Monika:Moni Melanie:Mela Martina:Tina Elena:Leni
        Charlotte:Lotte Ulrike:Uli Nicole:Nicki Gisela:Gisi Klaus:Klausi Sabine:Bine""",
    "pt": """João:Joãozinho José:Zé Pedro:Pedrinho Lucas:Luquinha Gabriel:Gabi Rafael:Rafa
        Carlos:Carlinhos Antônio:Toninho Luís:Lula Felipe:Lipe Gustavo:Guga Eduardo:Edu Leonardo:Leo
        Fernando:Nando Ricardo:Rick Guilherme:Gui Francisco:Chico Roberto:Beto Alexandre:Alex
        Manuel:Manel Joaquim:Quim Sebastião:Tião Rodrigo:Digo Vinícius:Vini Henrique:Rique
        Juliana:Ju Fernanda:Nanda Patrícia:Paty Mariana:Mari Beatriz:Bia Camila:Mila Gabriela:Gabi
        Rafaela:Rafa Carolina:Carol Isabela:Isa Francisca:Chica Vitória:Vivi Adriana:Dri Luciana:Lu
        Renata:Rê Daniela:Dani Priscila:Pri Tatiana:Tati Teresa:Teca Catarina:Cati""",
    "ru": """Aleksandr:Sasha Aleksandr:Alex Sergey:Seryozha Dmitriy:Dima Aleksey:Lyosha
        Andrey:Andryusha Maksim:Max Ivan:Vanya Mikhail:Misha Vladimir:Vova Evgeniy:Zhenya
        Nikolay:Kolya Artyom:Tyoma Pavel:Pasha Ilya:Ilyusha Roman:Roma Konstantin:Kostya
        Viktor:Vitya Yuriy:Yura Anton:Antosha Kirill:Kirya Vadim:Vadik Stanislav:Stas
        Vitaliy:Vitalik Anatoliy:Tolya Boris:Borya Pyotr:Petya Grigoriy:Grisha Vasiliy:Vasya
        Fyodor:Fedya Georgiy:Gosha Leonid:Lyonya Timofey:Tima Daniil:Danya Eduard:Edik
        Yaroslav:Yarik Vyacheslav:Slava Semyon:Syoma Anna:Anya Elena:Lena Olga:Olya Natalya:Natasha
        Ekaterina:Katya Tatyana:Tanya Mariya:Masha Irina:Ira Svetlana:Sveta Anastasiya:Nastya
        Yuliya:Yulya Aleksandra:Sasha Darya:Dasha Kseniya:Ksyusha Evgeniya:Zhenya Viktoriya:Vika
        Lyudmila:Lyuda Galina:Galya Nadezhda:Nadya Lyubov:Lyuba Polina:Polya Sofiya:Sonya
        Valentina:Valya Kristina:Kris Larisa:Lara Margarita:Rita Veronika:Nika Elizaveta:Liza
        Valeriya:Lera Varvara:Varya""",
}

_CYRILLIC = {
    "а": "a", "б": "b", "в": "v", "г": "g", "д": "d", "е": "e", "ё": "yo", "ж": "zh", "з": "z",
    "и": "i", "й": "y", "к": "k", "л": "l", "м": "m", "н": "n", "о": "o", "п": "p", "р": "r",
    "с": "s", "т": "t", "у": "u", "ф": "f", "х": "kh", "ц": "ts", "ч": "ch", "ш": "sh",
    "щ": "shch", "ъ": "", "ы": "y", "ь": "", "э": "e", "ю": "yu", "я": "ya",
}  # fmt: skip

# City with the first digits of its postal codes and its area code; the largest cities first.
_CITIES = {
    "DE": """Berlin:10 Hamburg:20 München:80 Köln:50 Frankfurt am Main:60 Stuttgart:70 Düsseldorf:40
        Leipzig:04 Dortmund:44 Essen:45 Bremen:28 Dresden:01 Hannover:30 Nürnberg:90 Münster:48
        Freiburg:79 Kiel:24 Lübeck:23 Würzburg:97 Göttingen:37""",
    "AT": "Wien:10 Graz:80 Linz:40 Salzburg:50 Innsbruck:60 Klagenfurt:90 Villach:95 Wels:46",
    "GB": """London:SE London:NW Birmingham:B Manchester:M Leeds:LS Glasgow:G Liverpool:L Bristol:BS
        Sheffield:S Edinburgh:EH Cardiff:CF Newcastle:NE Nottingham:NG Brighton:BN York:YO""",
    "US": """New York:100 Los Angeles:900 Chicago:606 Houston:770 Phoenix:850 Philadelphia:191 San
        Diego:921 Dallas:752 Austin:787 Seattle:981 Denver:802 Boston:021 Portland:972 Atlanta:303
        Minneapolis:554""",
    "BR": """São Paulo:01 Rio de Janeiro:20 Brasília:70 Salvador:40 Fortaleza:60 Belo Horizonte:30
        Curitiba:80 Recife:50 Porto Alegre:90 Goiânia:74 Campinas:13 Florianópolis:88""",
    "PT": "Lisboa:1 Porto:4 Braga:47 Coimbra:30 Setúbal:29 Aveiro:38 Évora:70 Faro:80 Funchal:90",
    "KZ": "Almaty:050 Astana:010 Shymkent:160 Karaganda:100 Aktobe:030 Pavlodar:140 Kostanay:110",
}
_STREETS = {
    "DE": """Hauptstraße Schulstraße Gartenstraße Bahnhofstraße Dorfstraße Bergstraße Birkenweg
        Lindenstraße Kirchstraße Waldstraße Ringstraße Schillerstraße Goethestraße Jahnstraße
        Mozartstraße Wiesenweg Amselweg Rosenweg Mühlweg Friedrichstraße Blumenstraße Talstraße""",
    "AT": """Hauptstraße Schulgasse Bahnhofstraße Kirchengasse Feldgasse Mozartgasse Lindengasse
        Ringstraße Gartengasse Wiener_Straße Schubertgasse Rosengasse Bachgasse Waldgasse""",
    "GB": """High_Street Station_Road Church_Lane Victoria_Road Green_Lane Manor_Road Park_Road
        Queen_Street Mill_Lane Kings_Road London_Road The_Crescent School_Lane Albert_Road
        Grange_Road York_Road Windsor_Close Springfield_Road""",
    "US": """Main_St Oak_Ave Maple_Ave Washington_St Park_Ave Cedar_St Elm_St Lake_St Hill_Rd
        Pine_St Lincoln_Ave Jackson_Blvd Walnut_St Sunset_Dr River_Rd Highland_Ave Church_St
        Madison_Ave""",
    "BR": """Rua_das_Flores Avenida_Brasil Rua_São_José Rua_Sete_de_Setembro Avenida_Paulista
        Rua_Quinze_de_Novembro Rua_Santo_Antônio Rua_Dom_Pedro_II Avenida_Getúlio_Vargas
        Rua_Tiradentes Rua_da_Paz Rua_Bela_Vista Rua_Amazonas Rua_São_Paulo""",
    "PT": """Rua_da_Igreja Rua_Direita Avenida_da_Liberdade Rua_de_Santo_António Rua_das_Flores
        Rua_do_Comércio Largo_da_Sé Rua_Nova Rua_da_Fonte Travessa_do_Carmo Rua_25_de_Abril""",
    "KZ": """Abay_Avenue Dostyk_Avenue Satpayev_Street Tole_Bi_Street Pushkin_Street Gogol_Street
        Respublika_Avenue Auezov_Street Lermontov_Street Seyfullin_Avenue Kabanbay_Batyr_Street""",
}
# How a postal code goes on after the city's digits: 0 a digit, A a letter, the rest as it is.
_POSTAL = {
    "DE": "00000", "AT": "0000", "US": "00000",
    "BR": "00000-000", "PT": "0000-000", "KZ": "000000",
}  # fmt: skip
_NUMBER_FIRST = ("GB", "US")

# Country code, beginnings of mobile numbers, how many digits follow.
_MOBILE = {
    "DE": ("+49", "1511 1512 1515 1520 1522 1525 1573 1577 1590 1762 1763 160 170 171 172 175", 7),
    "AT": ("+43", "650 660 664 676 680 699", 7),
    "GB": ("+44", "7400 7500 7710 7720 7730 7800 7850 7900 7950 7970 7410 7510", 6),
    "US": ("+1", "2122 2135 3123 7137 6024 2156 6197 2143 5127 2066 3038 6174 5032 4046", 6),
    "BR": ("+55", "1199 1198 2199 2198 6199 7199 8599 3199 4199 8199 5199 6299 1999 4899", 7),
    "PT": ("+351", "912 913 914 916 917 918 919 925 926 932 933 936 961 962 964 966", 6),
    "KZ": ("+7", "701 702 705 707 747 771 775 777 778", 7),
}

MAIL_DOMAINS = {
    "de": ("mail.example", "post.example.net", "brief.example", "web.test", "box.example.com"),
    "en": ("mail.example", "inbox.example.com", "letterbox.example", "web.test", "post.test"),
    "pt": ("mail.example", "correio.example", "caixa.example.com", "web.test", "post.example.org"),
    "ru": ("pochta.example", "mail.example", "inbox.example.com", "web.test", "yashchik.test"),
}

TIMEZONES = {
    "DE": "Europe/Berlin", "AT": "Europe/Vienna", "GB": "Europe/London", "US": "America/New_York",
    "BR": "America/Sao_Paulo", "PT": "Europe/Lisbon", "KZ": "Asia/Almaty",
}  # fmt: skip


def latin(name: str) -> str:
    """A Cyrillic name in Latin letters, as on a passport."""
    letters = (_CYRILLIC.get(c.lower(), c) for c in name)
    text = "".join(letters)
    return text[:1].upper() + text[1:]


@cache
def first_names(language: str, gender: str, *, native: bool = False) -> pa.Array:
    """First names of a language, most frequent first; gender is female or male."""
    pool = (_FEMALE if gender == "female" else _MALE)[language].split()
    return pa.array(pool if native else map(latin, pool))


@cache
def last_names(language: str, gender: str, *, native: bool = False) -> pa.Array:
    """Last names of a language, most frequent first; both genders' are in the same order."""
    pool = _LAST[language].split()
    if language == "pt":
        pool += [f"{a} {b}" for a in pool[:13] for b in pool[13:27]]
    if language in _COMPOUND:
        fronts, ends = (part.split() for part in _COMPOUND[language])
        pool += [front + end for end in ends for front in fronts]
    pool = list(dict.fromkeys(pool))
    if language == "ru" and gender == "female":
        pool = [n + "а" for n in pool]
    return pa.array(pool if native else map(latin, pool))


@cache
def nicknames(language: str) -> dict[str, list[str]]:
    """Short forms by the full name in Latin letters."""
    found: dict[str, list[str]] = {}
    for pair in _NICKNAMES[language].split():
        name, short = pair.split(":")
        found.setdefault(name, []).append(short)
    return found


def draw(rng: np.random.Generator, size: int, n: int, *, steep: float = 0.8) -> Array:
    """Indices 0 to n - 1 with Zipf-like weights: the first ones are the most frequent."""
    weights = 1.0 / (np.arange(n) + 4.0) ** steep
    edges = np.cumsum(weights / weights.sum())
    return np.minimum(np.searchsorted(edges, rng.random(size), side="right"), n - 1)


def fold(text: pa.Array) -> pa.Array:
    """Text without diacritics in plain Latin letters: ß becomes ss, ç becomes c."""
    for letter, plain in (("ß", "ss"), ("ı", "i")):
        text = pc.replace_substring(text, letter, plain)
    return pc.replace_substring_regex(pc.utf8_normalize(text, "NFKD"), r"\p{Mn}", "")


def mail_part(text: pa.Array) -> pa.Array:
    """A name as it stands in an e-mail address: ü is written ue, as Germans do."""
    text = pc.utf8_lower(text)
    for letter, plain in (("ä", "ae"), ("ö", "oe"), ("ü", "ue")):
        text = pc.replace_substring(text, letter, plain)
    return pc.replace_substring_regex(fold(text), r"[^a-z0-9]+", "")


@cache
def cities(country: str) -> tuple[pa.Array, pa.Array]:
    """Cities of a country, the largest first, and the beginnings of their postal codes."""
    pairs = re.findall(r"\s*([^:]+):(\w+)", _CITIES[country])
    names = [" ".join(name.split()) for name, _ in pairs]
    return pa.array(names), pa.array([code for _, code in pairs])


def postal_codes(rng: np.random.Generator, country: str, fronts: pa.Array) -> pa.Array:
    """Postal codes of a country that begin as the city's do."""
    size = len(fronts)
    digits = pa.array(rng.integers(0, 10**9, size).astype("U9"))
    digits = pc.utf8_lpad(digits, 9, "0")
    if country == "GB":
        letters = pa.array(list("ABDEFGHJLNPQRSTUWXYZ"))
        area = pc.utf8_slice_codeunits(digits, 0, 1)
        pair = (letters.take(pa.array(rng.integers(0, 20, size))) for _ in range(2))
        inward = pc.binary_join_element_wise(pc.utf8_slice_codeunits(digits, 1, 2), *pair, "")
        return pc.binary_join_element_wise(fronts, area, " ", inward, "")
    shape = _POSTAL[country]
    whole = pc.binary_join_element_wise(fronts, digits, "")
    if "-" not in shape:
        return pc.utf8_slice_codeunits(whole, 0, len(shape))
    front, back = (len(part) for part in shape.split("-"))
    return pc.binary_join_element_wise(
        pc.utf8_slice_codeunits(whole, 0, front),
        pc.utf8_slice_codeunits(whole, front, front + back),
        "-",
    )


def streets(rng: np.random.Generator, country: str, size: int) -> pa.Array:
    """Streets with a house number."""
    pool = pa.array([s.replace("_", " ") for s in _STREETS[country].split()])
    street = pool.take(pa.array(draw(rng, size, len(pool), steep=0.5)))
    number = pa.array(rng.integers(1, 160, size).astype("U4"))
    order = (number, street) if country in _NUMBER_FIRST else (street, number)
    return pc.binary_join_element_wise(*order, ", " if country in ("BR", "PT") else " ")


def phones(rng: np.random.Generator, country: str, size: int) -> pa.Array:
    """Mobile numbers that are valid in the country, as E.164."""
    code, beginnings, follow = _MOBILE[country]
    pool = pa.array([code + b for b in beginnings.split()])
    rest = pa.array(rng.integers(0, 10**follow, size).astype("U8"))
    return pc.binary_join_element_wise(
        pool.take(pa.array(rng.integers(0, len(pool), size))), pc.utf8_lpad(rest, follow, "0"), ""
    )


class _Names:
    """All pools in one, so that a column of names is one look-up whatever the languages are."""

    def __init__(self) -> None:
        pairs = [(code, gender) for code in LANGUAGES for gender in ("female", "male")]
        self._pools: dict[tuple[str, bool], pa.Array] = {}
        self._starts: dict[str, Array] = {}
        self._sizes: dict[str, Array] = {}
        for kind, pool in (("first", first_names), ("last", last_names)):
            for native in (False, True):
                arrays = [pool(code, gender, native=native) for code, gender in pairs]
                self._pools[kind, native] = pa.concat_arrays(arrays)
            sizes = np.array([len(a) for a in arrays])
            self._sizes[kind] = sizes
            self._starts[kind] = np.concatenate([[0], np.cumsum(sizes)[:-1]])

    def first(self, rng: np.random.Generator, pool: Array, female: Array) -> Array:
        """Numbers of first names drawn for people of these pools (places in LANGUAGES)."""
        return self._draw(rng, "first", 2 * pool + ~female)

    def last(self, rng: np.random.Generator, pool: Array) -> Array:
        """Numbers of last names; the same number is the same family, whatever the gender."""
        return self._draw(rng, "last", 2 * pool)

    def text(
        self, kind: str, pool: Array, number: Array, female: Array, *, native: bool = False
    ) -> pa.Array:
        """The names of these numbers; kind is first or last."""
        start = self._starts[kind][2 * pool + ~female]
        return self._pools[kind, native].take(pa.array(start + number))

    def _draw(self, rng: np.random.Generator, kind: str, group: Array) -> Array:
        number = np.zeros(len(group), np.int64)
        for g in np.unique(group):
            here = np.flatnonzero(group == g)
            number[here] = draw(rng, len(here), int(self._sizes[kind][g]))
        return number


NAMES = _Names()


def nickname(rng: np.random.Generator, first: pa.Array) -> pa.Array:
    """A short form of each Latin first name; null where there is none."""
    forms: dict[str, list[str]] = {}
    for code in LANGUAGES:
        for name, shorts in nicknames(code).items():
            forms.setdefault(name, []).extend(shorts)
    width = max(map(len, forms.values()))
    flat = pa.array([s for shorts in forms.values() for s in (shorts * width)[:width]])
    row = pc.index_in(first, pa.array(list(forms)))
    which = pa.array(rng.integers(0, width, len(first)), pa.int32())
    return flat.take(pc.add(pc.multiply(row, width), which))
