"""Fixture of test/recipes/vader.test.ts: compound scores of 500 sentences by Python's vaderSentiment.

    pip download --no-deps --no-binary :all: vaderSentiment==3.3.2 && tar xzf vaderSentiment-3.3.2.tar.gz
    (cd vaderSentiment-3.3.2/additional_resources && tar xzf hutto_ICWSM_2014.tar.gz)
    python3 test/oracle/vader_scores.py vaderSentiment-3.3.2

The sentences are movie reviews and tweets of the archive, evenly spread, and sentences that exercise single rules. The file holds
the lexicon's entries of their words too.
"""
import json
import pathlib
import string
import sys

folder = pathlib.Path(sys.argv[1])
sys.path.insert(0, str(folder / "vaderSentiment"))
from vaderSentiment import SentimentIntensityAnalyzer  # noqa: E402

RULES = """VADER is smart, handsome, and funny!!!!!
VADER is VERY SMART, uber handsome, and FRIGGIN FUNNY!!!
VADER is not smart, handsome, nor funny.
At least it isn't a horrible book.
It was the least good of all.
The book was only kind of good.
The plot was good, but the characters are uncompelling and the dialog is not great.
Today SUX!
Make sure you :) or :D today!
Catch utf-8 emoji such as 💘 and 💋 and😁
Sentiment analysis has never been this good!
With VADER, sentiment analysis is the shit!
On the other hand, VADER is quite bad ass
He was there without a doubt an excellent friend
There is no good, no hope or love
no problem
Is this good?? Really??? Is it???? bad
It was a dish to die for and the kiss of death
We waited at the bus stop all day, yeah right
good but good but bad but good
ALL OF THIS IS GREAT
It was sort of nice and just enough fun
this is so terribly bad

...""".split("\n")
data = folder / "additional_resources" / "hutto_ICWSM_2014"
sentences = list(RULES)
for name, count in [("movieReviewSnippets", 330), ("tweets", 500 - 330 - len(RULES))]:
    lines = (data / f"{name}_GroundTruth.txt").read_text(encoding="utf-8", errors="replace").split("\n")
    texts = [line.split("\t")[2].strip() for line in lines if line.count("\t") == 2]
    sentences += [texts[i * len(texts) // count] for i in range(count)]

analyzer = SentimentIntensityAnalyzer()
scores = [analyzer.polarity_scores(text)["compound"] for text in sentences]
emoji = {sign: words for sign, words in analyzer.emojis.items() if any(sign in text for text in sentences)}
shown = {word for text in [*sentences, *emoji.values()] for raw in text.lower().split() for word in (raw, raw.strip(string.punctuation))}
lexicon = {word: valence for word, valence in analyzer.lexicon.items() if word in shown}
out = pathlib.Path(__file__).parent / "fixtures" / "vader.json"
out.write_text(json.dumps({"lexicon": lexicon, "emoji": emoji, "sentences": [list(pair) for pair in zip(sentences, scores)]}, ensure_ascii=False) + "\n")
print(len(sentences), len(lexicon), out.stat().st_size)
