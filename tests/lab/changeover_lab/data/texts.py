"""Words for the test data: ordinary ones, and those on which careless programs break."""

WORDS = (
    "amber basin cedar delta ember fjord grove harbor island juniper kettle lantern meadow north orchard pebble "
    "quartz river summit timber upland valley willow yonder zephyr copper marble silver velvet crimson"
).split()

FOREIGN = (
    "Größe Straße Überfluss Ærø žluťoučký ŁódŹ Ωμέγα Москва שלום مرحبا नमस्ते 東京 서울 ไทย Việt café cafe\u0301 "
    "İstanbul ıspanak ﬁnal naïve ǅ"
).split()

#: strings that end quotes, look like code, markup, paths or other types, or have another length in other units
HOSTILE = (
    "O'Hara", 'say "hi"', "back\\slash", "percent %s %d %%", "{{ braces }}", "${HOME} $(id) `id`",
    "; DROP TABLE orders", "<script>alert(1)</script>", "&amp; &#39;", "--",
    "#comment", "/* comment */", "\\N", "NULL", "null", "0", "-0",
    "1e309", "true", "line\nbreak", "carriage\r\nreturn", "tab\there", "trailing space ", " leading space",
    "bell\x07", "escape\x1b[31mred", "soft\u00adhyphen", "zero\u200bwidth", "right\u202eleft", "bom\ufeff",
    "line\u2028separator", "party \U0001f389", "family \U0001f468\u200d\U0001f469\u200d\U0001f467", "math \U0001d54f",
    "\U0001f1e8\U0001f1ed", "ﷺ", "a" * 200, "e\u0301\u0301\u0301\u0301", "../../etc/passwd", "C:\\temp\\new", "'", '"',
    "''", "\\'", "\\\\", "",
)  # fmt: skip


def phrase(random, least=1, most=6):
    """A few words; one in ten times with a foreign or hostile part."""
    words = random.choices(WORDS, k=random.randint(least, most))
    chance = random.random()
    if chance < 0.06:
        words.append(random.choice(FOREIGN))
    elif chance < 0.1:
        words.append(random.choice(HOSTILE))
    return " ".join(words)
