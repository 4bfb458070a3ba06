"""Times as Moodle's worksheet writes them: in words of the site's language, and without a time zone."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable
from datetime import datetime

_MONTHS = [
    line.split()
    for line in """
january february march april may june july august september october november december
januar/jänner februar/feber märz april mai juni juli august september oktober november dezember
janvier février mars avril mai juin juillet août septembre octobre novembre décembre
enero febrero marzo abril mayo junio julio agosto septiembre/setiembre octubre noviembre diciembre
janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro
gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre
januari februari maart april mei juni juli augustus september oktober november december
gener febrer març abril maig juny juliol agost setembre octubre novembre desembre
januari februari mars april maj juni juli augusti september oktober november december
januar februar mars april mai juni juli august september oktober november desember
januar februar marts april maj juni juli august september oktober november december
tammikuuta helmikuuta maaliskuuta huhtikuuta toukokuuta kesäkuuta heinäkuuta elokuuta syyskuuta lokakuuta marraskuuta joulukuuta
styczeń/stycznia luty/lutego marzec/marca kwiecień/kwietnia maj/maja czerwiec/czerwca lipiec/lipca sierpień/sierpnia wrzesień/września październik/października listopad/listopada grudzień/grudnia poniedziałek wtorek środa czwartek piątek sobota niedziela
leden/ledna únor/února březen/března duben/dubna květen/května červen/června červenec/července srpen/srpna září říjen/října listopad/listopadu prosinec/prosince pondělí úterý středa čtvrtek pátek sobota neděle
január/januára február/februára marec/marca apríl/apríla máj/mája jún/júna júl/júla august/augusta september/septembra október/októbra november/novembra december/decembra
január február március április május június július augusztus szeptember október november december
ianuarie februarie martie aprilie mai iunie iulie august septembrie octombrie noiembrie decembrie
ocak şubat mart nisan mayıs haziran temmuz ağustos eylül ekim kasım aralık
siječanj/siječnja veljača/veljače ožujak/ožujka travanj/travnja svibanj/svibnja lipanj/lipnja srpanj/srpnja kolovoz/kolovoza rujan/rujna listopad/listopada studeni/studenoga prosinac/prosinca ponedjeljak utorak srijeda četvrtak petak subota nedjelja
januar/januarja februar/februarja marec/marca april/aprila maj/maja junij/junija julij/julija avgust/avgusta september/septembra oktober/oktobra november/novembra december/decembra
январь/января февраль/февраля март/марта апрель/апреля май/мая июнь/июня июль/июля август/августа сентябрь/сентября октябрь/октября ноябрь/ноября декабрь/декабря
січень/січня лютий/лютого березень/березня квітень/квітня травень/травня червень/червня липень/липня серпень/серпня вересень/вересня жовтень/жовтня листопад/листопада грудень/грудня
ιανουάριος/ιανουαρίου φεβρουάριος/φεβρουαρίου μάρτιος/μαρτίου απρίλιος/απριλίου μάιος/μαΐου ιούνιος/ιουνίου ιούλιος/ιουλίου αύγουστος/αυγούστου σεπτέμβριος/σεπτεμβρίου οκτώβριος/οκτωβρίου νοέμβριος/νοεμβρίου δεκέμβριος/δεκεμβρίου
januari februari maret april mei juni juli agustus september oktober november desember
ינואר/בינואר פברואר/בפברואר מרץ/במרץ אפריל/באפריל מאי/במאי יוני/ביוני יולי/ביולי אוגוסט/באוגוסט ספטמבר/בספטמבר אוקטובר/באוקטובר נובמבר/בנובמבר דצמבר/בדצמבר
""".strip().split("\n")  # noqa: E501
]
"""The months of a language in each line, and its days where another language calls another month the same. Languages
that count their months need none: 2026年10月14日.
"""

TIME = re.compile(r"(下午|午後|오후)?\s*(?<!\d)(\d{1,2}):(\d\d)(?::\d\d)?(?!\d)\s*(?:([ap])\.?\s?m\b)?", re.IGNORECASE)


def moments(texts: Collection[str]) -> dict[str, datetime] | None:
    """Each of these texts as a time, all read in one language; None where one cannot be, or two languages disagree."""
    read = [found for names in _MONTHS if (found := _in_language(texts, names)) is not None]
    return read[0] if read and all(found == read[0] for found in read) else None


def _in_language(texts: Collection[str], names: list[str]) -> dict[str, datetime] | None:
    found: dict[str, datetime] = {}
    for text in texts:
        clock = TIME.search(text)
        if clock is None:
            return None
        rest = TIME.sub(" ", text)
        numbers = [int(number) for number in re.findall(r"\d+", rest)]
        year = next((number for number in numbers if number > 1000), 0)
        others = [number for number in numbers if number != year]
        if len(others) == 1 and (month := _month(rest, names)):
            others = [month, others[0]]
        elif len(others) == 2 and numbers[0] != year and not _month_first(texts):
            others.reverse()
        hour = int(clock[2])
        if (clock[4] or clock[1]) is not None:
            hour = hour % 12 + 12 * ((clock[4] or "p") in "pP")
        try:
            month, day = others
            found[text] = datetime(year, month, day, hour, int(clock[3]))
        except ValueError:
            return None
        if names[12:] and names[12 + found[text].weekday()] not in _words(rest):
            return None
    return found


def _month_first(texts: Iterable[str]) -> bool:
    """True where some date in numbers, such as 10/14/2026, has a second number that is no month."""
    dates = (re.findall(r"\d+", TIME.sub(" ", text)) for text in texts)
    return any(len(date) == 3 and len(date[2]) == 4 and int(date[1]) > 12 for date in dates)


def _month(text: str, names: list[str]) -> int:
    """The month that one word of the text names, whole or shortened to three letters or more; 0 where none does."""
    words = _words(text)
    spelled = [(number, name) for number, forms in enumerate(names[:12], start=1) for name in forms.split("/")]
    same = {number for number, name in spelled if name in words}
    alike = same or {number for number, name in spelled if any(name.startswith(word) for word in words)}
    return alike.pop() if len(alike) == 1 else 0


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W\d_]{3,}", unicodedata.normalize("NFC", text).casefold())
