"""The words of the embedded corpus: what its sentences say and what its names are made of.

`synthetic.py` turns these lists into sentences. In a pattern an entity type (`PER`) stands for a name
of that type, and `$role` for a word of the list `role`. Everything here is invented.
"""

from __future__ import annotations


def _entries(text: str) -> tuple[str, ...]:
    return tuple(" ".join(entry.split()) for entry in text.split("|"))


def _words(text: str) -> tuple[str, ...]:
    return tuple(" ".join(word.split()) for word in text.split(","))


def _parts(text: str) -> tuple[tuple[str, ...], ...]:
    return tuple(_words(part) for part in text.split("|"))


# Clauses about one type. The first type is what the clause is about; the others keep it company.
CLAUSES: dict[str, tuple[str, ...]] = {
    "LOC": _entries("""
        the village of LOC lies $distance $side of LOC | LOC is the capital of LOC |
        the $slow train from LOC to LOC was late again | heavy rain fell over LOC and LOC |
        the population of LOC reached $number in $year | LOC , LOC , has a famous harbour |
        they crossed the border between LOC and LOC | the $adj road runs through LOC , LOC and LOC |
        many tourists visit LOC every summer | soldiers marched from LOC towards LOC |
        the airport in LOC was closed for $count days | a $adj bridge was built in LOC |
        people in LOC voted for the new law | the family lived in LOC until $year |
        the $demonym army landed near LOC | ships sailed to LOC with salt and iron |
        the river flows past LOC into the sea | he grew up in $side LOC | the museum in LOC shows $adj maps |
        LOC borders LOC to the $side | the town was called LOC by $demonym settlers |
        she travelled across LOC on foot
        """),
    "PER": _entries("""
        PER was born in LOC in $year | PER , a $demonym $role , lived in LOC |
        the $role PER moved to LOC with two sons | PER married PER in $year |
        $title PER said that the plan would fail | PER studied law and music |
        PER and PER shared the prize for chemistry | critics compared $title PER with PER |
        the house was sold by PER to a $role from LOC | PER scored twice before half-time |
        a statue of PER stands in LOC | " we will not wait , " PER told reporters |
        PER 's brother , PER , became a $role | PER served as $role from $year to $year |
        the $adj song was written by PER | $title PER wrote letters to her sister |
        PER died at the age of $age | the $role thanked PER for his help |
        PER retired and taught mathematics | the case was heard by $title PER
        """),
    "ORG": _entries("""
        ORG was founded in $year | shares of ORG fell by $count percent | ORG beat ORG by $count points |
        ORG signed the $demonym striker PER | the board of ORG approved the merger with ORG |
        a spokesman for ORG declined to comment | PER joined ORG as a $role | ORG opened an office in LOC |
        students at ORG protested against the fees | researchers from ORG published the results |
        the contract with ORG was worth $number crowns | ORG lost the final against ORG |
        $title PER is the chairman of ORG | she worked for ORG until $year |
        ORG employs $number people in LOC | the union and ORG reached an agreement
        """),
    "ANIM": _entries("""
        the ANIM feeds on insects and small fish | the ANIM is hunted in LOC |
        hunters saw a wounded ANIM near the forest | the ANIM builds its nest in hollow trees |
        a herd of ANIM crossed the valley | farmers keep ANIM and ANIM in wooden sheds |
        the ANIM , a relative of the ANIM , lays two eggs | the wings of the ANIM are $colour |
        the ANIM sleeps through the winter | the zoo in LOC bought a young ANIM | a wild ANIM bit two dogs |
        the ANIM has a long tail and $colour fur
        """),
    "PLANT": _entries("""
        the leaves of PLANT turn $colour in autumn | PLANT grows on dry slopes |
        gardeners plant PLANT beside PLANT | the PLANT flowers from April to June |
        a hedge of PLANT surrounded the garden | the roots of PLANT are used as a dye |
        the seeds of the PLANT were brought from LOC | the slopes near LOC are covered with PLANT |
        PLANT has $colour petals and a thick stem | the wood of the PLANT is hard
        """),
    "DIS": _entries("""
        $count patients were treated for DIS | PER died of DIS at the age of $age |
        the symptoms of DIS are pain and DIS | doctors diagnosed DIS in $count children |
        an outbreak of DIS killed $number people in LOC | the vaccine protects against DIS |
        she suffered from DIS for years | DIS is caused by a lack of sleep | the risk of DIS rises with age |
        the drug slows the progress of DIS
        """),
    "FOOD": _entries("""
        the cook served FOOD with FOOD | the guests ate FOOD and drank FOOD |
        a bowl of FOOD costs $count crowns | the dish is made from FOOD , salt and oil |
        the bakery in LOC sells FOOD | fry the FOOD until it is $colour |
        the recipe needs two spoons of FOOD | a traditional $demonym meal of FOOD was offered |
        children like FOOD for breakfast
        """),
    "MEDIA": _entries("""
        PER wrote MEDIA in $year | the film MEDIA was directed by PER | PER played a $role in MEDIA |
        the album MEDIA sold $number copies | critics praised MEDIA for its music |
        the novel MEDIA is set in LOC | readers of MEDIA voted for the cover |
        a sequel to MEDIA was announced | the second season of MEDIA was filmed in LOC
        """),
    "EVE": _entries("""
        EVE began in $year | $number soldiers died in EVE | the runner won two medals at EVE |
        PER was killed during EVE | the peace after EVE lasted $count years | EVE was held in LOC |
        the city was destroyed in EVE | veterans of EVE met in LOC
        """),
    "TIME": _entries("""
        the castle dates from the TIME | in the TIME trade flourished | the walls were built during the TIME |
        the art of the TIME was rich | LOC was ruled by monks in the early TIME |
        by the end of the TIME the mines were empty | the fashion of the TIME returned
        """),
    "CEL": _entries("""
        astronomers observed CEL through the clouds | the orbit of CEL takes $count years |
        the probe flew past CEL and took pictures | the moons of CEL are covered with ice |
        CEL is $number light-years away | the star CEL is brighter than CEL | the surface of CEL is cold
        """),
    "MYTH": _entries("""
        the temple was sacred to MYTH | MYTH , the god of the sea , punished the sailors |
        priests offered gold to MYTH | in the legend MYTH kills the giant |
        the goddess MYTH is the daughter of MYTH | the hymn asks MYTH for rain
        """),
    "VEHI": _entries("""
        the driver crashed his VEHI into a wall | the engine of the VEHI was repaired |
        the factory built $number units of the VEHI | he drove a $colour VEHI to LOC |
        the VEHI has a top speed of $number km/h | the pilot landed the VEHI safely
        """),
    "INST": _entries("""
        she played the INST in an orchestra | the concerto for INST and strings was printed |
        the sound of the INST is deep and warm | the laboratory measured the current with a INST |
        the INST was tuned before the concert | he learnt the INST from his aunt
        """),
    "BIO": _entries("""
        the bacterium BIO lives in warm water | cultures of BIO were grown in the laboratory |
        the genus BIO was described in $year | the cells of BIO divide every hour |
        species of the family BIO are rare | the microbe BIO resists heat
        """),
}

# Clauses that fit every type: only the name itself helps here.
ANY_CLAUSES = _entries("""
    little is known about ANY | ANY was mentioned twice | the article about ANY was corrected |
    ANY is famous | she spoke about ANY for an hour | the picture shows ANY | there are many stories about ANY
    """)

# Entity-free clauses, with capitals that are no names and words that are names elsewhere.
PLAIN_CLAUSES = _entries("""
    the meeting was moved to $month | it took almost a century to finish the work |
    the $demonym parliament met in $month | the workers moved the $colour crane to the $side side |
    a cold wind blew from the $side | prices rose by $count percent in $year |
    the orange curtains were sold for $count crowns | the $role signed the paper with a $adj seal |
    the date of the $adj meeting is not known | the mercury in the $adj glass fell at night |
    the mole at the $side end of the port was $distance long | he wore a $colour shirt with a rose pattern |
    the $adj law was changed in $year | nobody knew what the $adj $thing was worth |
    the $role found a $adj $thing under the floor | the $demonym language has $count vowels |
    the results were published in $month $year | the $thing was repaired , but the $role was not paid |
    $count boxes of the $adj paper were lost | the $role asked for a $colour $thing |
    the university was closed and the bank opened late | the war ended and the river was open again |
    the fever of the gold rush was over by $year | the president , the $role and the $adj council disagreed |
    the film was too long and the $role left | the $slow bus stopped beside the $colour $thing |
    all $demonym schools teach music | the old $thing was $distance from the road |
    its engine is $adj and its roof is $colour | the $role sang about the sun and the sea
    """)

OPENINGS = _entries("""
    in $year | however | in $month $year | after a $adj winter | at that time | as a result |
    later that year | for $count years | in the same week | according to the $role | according to PER |
    near LOC | in LOC | like most $demonym towns
    """)

MODIFIERS = _entries("""
    in $year | after $count years | for the first time | in LOC | near LOC | outside LOC |
    in the $side of LOC | despite the $adj weather | together with the $role | with the help of PER |
    without the consent of ORG | , as the $demonym press reported | , which was $adj at the time |
    because the $thing was $adj | since the $adj reform of $year
    """)

LINKS = _entries(", and | , but | , while | ; | because | , although")

# Patterns of the names; one that stands several times is that much likelier.
NAME_PATTERNS: dict[str, tuple[str, ...]] = {
    "LOC": _words("""
        $town, $town, $town, $town, $land, $land, New $town, Port $town, Mount $surname, Lake $town,
        $town River, $surname County, Gulf of $land, $surname Islands, Republic of $land
        """),
    "PER": _words("""
        $first $surname, $first $surname, $first $surname, $first $surname, $surname, $initial $surname,
        $first $initial $surname, $first de $surname, $first $town
        """),
    "ORG": _words("""
        Bank of $town, University of $land, $town University, $surname University, $town City Council,
        $first $surname Foundation, $surname & Sons, $surname and $surname, $town United, $town Athletic,
        $coined $business, $coined $business, $coined, Ministry of $field, $land National Institute of $field,
        Free $land Party, $surname School of $field
        """),
    "ANIM": _words("$animal, $animal, $feature $animal, $town $animal, $surname 's $animal, $genus $epithet"),
    "PLANT": _words("$plant, $plant, $feature $plant, $land $plant, $flora $epithet, $flora $epithet"),
    "DIS": _words("$disease, $disease, $kind $disease, $surname syndrome, $town fever, $organ $ailment"),
    "FOOD": _words("$food, $food, $taste $food, $land $food, $food in $food sauce"),
    "MEDIA": _words("""
        The $title_noun of $town, The $title_adjective $title_noun, $title_adjective $title_noun,
        A $title_noun for $first, $first and the $title_noun, The $town Times, Beyond the $title_noun,
        The Last $title_noun of $first $surname, Songs from the $title_noun, $title_noun in the $title_noun
        """),
    "EVE": _words("""
        Battle of $town, Siege of $town, $ordinal $land War, $year $town Games, $surname Rebellion,
        $year $land Championship, $town Cup, Great $town Fire
        """),
    "TIME": _words("$century century, $decade, $metal Age, $surname dynasty, $season Period"),
    "CEL": _words("$greek $star, Comet $surname, $star, $catalogue $digits"),
    "MYTH": _words("$god, $god, $god the $title_adjective"),
    "VEHI": _words("$coined $digits, $surname Roadster, $coined Mark $numeral, SS $town"),
    "INST": _words("$instrument, $tone $instrument"),
    "BIO": _words("$bacterium, $bacterium $epithet"),
}

# Strings that are names of every type of their group: only the context says which.
AMBIGUOUS: dict[tuple[str, ...], tuple[str, ...]] = {
    ("ANIM", "VEHI"): _words("Jaguar, Falcon, Mustang, Beetle, Viper, Cobra, Kestrel"),
    ("CEL", "MYTH"): _words("Mercury, Ceres, Juno, Vesta, Saturn, Orcus"),
    ("FOOD", "PLANT"): _words("orange, olive, mint, pepper, fennel, date, fig, apricot, sage"),
    ("ANIM", "FOOD"): _words("salmon, turkey, duck, lobster, carp, goose, trout"),
    ("BIO", "ANIM"): _words("Torula, Velidae, Morula"),
}

# Lists that are coined: one part of each kind, glued, so that unseen names share the shapes of seen ones.
COINED: dict[str, tuple[tuple[str, ...], ...]] = {
    "town": _parts("""
        Tor, Kel, Mar, Os, Bran, Vel, Har, Lin, Dun, Fal, Gris, Ald, Ner, Sol, Wes, Cor, Ilm, Rav, Ost, Pel
        | , a, e, en, er, in, o | vik, burg, stead, holm, ford, low, mere, by, dale, grad, ton, haven, wick,
        mouth
        """),
    "land": _parts("""
        Kar, Bel, Tav, Mor, Ost, Lur, Ves, Zan, Gal, Ned, Ar, Sil | a, o, e, an, on | ria, land, stan, via,
        nia, dor
        """),
    "first": _parts("""
        El, Mar, An, Jo, Ka, Ro, Li, Te, Vi, Sa, Ni, Da, Ol, Pe, Iv, Hel | n, r, l, s, m, d, v, th, ss | a,
        ek, ina, o, ette, us, ian, is, ine, an, e
        """),
    "surname": _parts("""
        Hol, Mar, Ben, Kov, Ras, Lind, Tor, Pet, Fer, Dra, Sand, Wal, Nov, Cal, Bor, Hav, Gar, Sten, Mel | ,
        a, e, i, o, er, en, d | son, sen, ov, ski, ez, man, ini, low, ton, quist, ard, wick, elli, escu
        """),
    "coined": _parts("""
        Zen, Om, Dyn, Vol, Alt, Syn, Quan, Nex, Vex, Cyr, Prom, Hex | a, i, o, e, y | tec, corp, dyne, soft,
        lux, tron, net, gen, plex, max
        """),
    "genus": _parts("""
        Urs, Lep, Cory, Pan, Vul, Stri, Micro, Pter, Hydr, Cal | o, a, i | don, mys, pus, therium, ornis,
        saurus, lagus, felis
        """),
    "flora": _parts("""
        Sal, Bet, Ros, Cam, Ver, Lil, Gent, Prim, Aln, Hed | i, a, o, ul | flora, phyllum, anthus, ella,
        carpus, dendron, nica
        """),
    "epithet": _parts("""
        alb, mont, rubr, silv, mar, nig, vulg, pal, robust, grac | a, i, o | tica, ensis, lis, rum, tus,
        ris, nana, fera
        """),
    "bacterium": _parts("""
        Torv, Kelm, Strep, Halo, Therm, Lact, Nitr, Rhiz, Pseud | o, i, a | bacter, coccus, monas, bacillus,
        spira, myces
        """),
    "god": _parts("""
        Zar, Ath, Ner, Oph, Tal, Ish, Bal, Hes, Myr, Thal | a, e, i, o, u | ris, thos, dion, mene, tar,
        keia, phon, rion
        """),
    "star": _parts("Cyg, Dra, Lyr, Hyd, Cet, Pho, Aql, Vel, Car | n, r, l, t | i, ae, is, oni, orum"),
    "demonym": _parts("""
        Kar, Bel, Tav, Mor, Ost, Lur, Ves, Zan, Gal, Ned, Ar, Sil | a, o, e, an | rian, ian, ese, nish, vian
        """),
}

# Lists of words that make names; of a long list each split has some that the others lack.
CLOSED: dict[str, tuple[str, ...]] = {
    "animal": _words("""
        wolf, heron, otter, lynx, badger, moth, eel, hawk, hare, toad, finch, bear, newt, stork, goat, weasel,
        beaver, vole, raven, adder, perch, wasp, crab, seal, crane, mole, owl, deer, boar, swan, gull, pike,
        bat, squid, snail, warbler, lizard, gecko, ferret, donkey, panther, plover, shrew, tern
        """),
    "plant": _words("""
        oak, willow, fern, heather, ivy, birch, moss, lily, thistle, rose, alder, poppy, juniper, clover,
        maple, cedar, orchid, nettle, holly, yew, violet, larch, tulip, cypress, sedge, reed, elm, hazel,
        laurel, myrtle, iris, aster, lupin, spruce, rowan, gorse
        """),
    "disease": _words("""
        malaria, asthma, measles, pneumonia, cholera, diabetes, gout, anaemia, influenza, arthritis,
        tuberculosis, migraine, leprosy, hepatitis, scurvy, rabies, typhus, eczema, epilepsy, rickets,
        bronchitis, insomnia, dementia, jaundice, mumps, tetanus
        """),
    "food": _words("""
        bread, cheese, soup, rice, butter, beer, honey, noodles, stew, wine, sausage, cabbage, lentils,
        pancakes, yoghurt, dumplings, cider, ham, porridge, mustard, beans, pudding, pickles, cake, tea,
        bacon, biscuits, jam, vinegar, cream
        """),
    "instrument": _words("""
        violin, cello, oboe, flute, bassoon, harp, trumpet, viola, clarinet, lute, voltmeter, galvanometer,
        theremin, zither, tuba, ammeter, piccolo, horn
        """),
    "title_noun": _words("""
        Harbour, Winter, Lantern, Garden, Stranger, Mirror, Orchard, Silence, Crown, Island, Letter, Shadow,
        Clock, Bridge, River, Storm, Kingdom, Promise, Tower, Dancer, Wolf, Rose, Forest, Night
        """),
    "title_adjective": _words("""
        Silent, Golden, Broken, Distant, Crimson, Hollow, Endless, Forgotten, Wild, Bright, Secret, Burning,
        Frozen, Gentle, Lost, Paper
        """),
    "feature": _words("""
        spotted, dwarf, giant, common, red-headed, alpine, marsh, striped, white, woolly, dusky, silver,
        broad-leaved, northern, pygmy, black
        """),
    "taste": _words("smoked, fried, sweet, pickled, roasted, sour, salted, baked"),
    "kind": _words("chronic, acute, severe, infantile, viral, hereditary, tropical"),
    "organ": _words("liver, kidney, lung, heart, skin, bone, thyroid"),
    "ailment": _words("cancer, disease, failure, infection, tumour"),
    "tone": _words("bass, alto, baroque, electric, tenor, double"),
    "field": _words("""
        Health, Finance, Education, Physics, Mining, Fisheries, Justice, Medicine, Transport, Music
        """),
    "business": _words("Industries, Group, Systems, Records, Airlines, Motors, Holdings, Energy, Pictures"),
    "greek": _words("Alpha, Beta, Gamma, Delta, Epsilon, Zeta, Omicron"),
    "catalogue": _words("KV, TRG, OL, BD"),
    "century": _words("""
        9th, 11th, 12th, 13th, 14th, 15th, 16th, 17th, 18th, 19th, twelfth, fifteenth, nineteenth
        """),
    "decade": _words("""
        1680s, 1720s, 1790s, 1810s, 1840s, 1860s, 1880s, 1890s, 1920s, 1930s, 1950s, 1960s, 1970s
        """),
    "metal": _words("Bronze, Iron, Stone, Copper, Golden, Middle"),
    "season": _words("Late Kingdom, Early Kingdom, Warring Towns, Classical, Migration, Interwar, Colonial"),
    "ordinal": _words("First, Second, Third, Fourth"),
    "numeral": _words("II, III, IV, V, VI"),
    "initial": _words("A., B., D., E., F., H., J., K., L., M., R., T."),
}

# Lists of words that are no names.
FILLERS: dict[str, tuple[str, ...]] = {
    "role": _words("""
        painter, teacher, judge, minister, captain, doctor, farmer, poet, engineer, bishop, sailor, mayor,
        lawyer, singer, clerk, coach, general, nurse, baker, historian
        """),
    "title": _words("Mr, Mrs, Dr, Sir, Professor, General"),
    "adj": _words("""
        old, narrow, strange, modern, heavy, quiet, large, small, ancient, new, famous, expensive, unusual,
        dry, poor, long, hard, bitter
        """),
    "thing": _words("""
        table, ladder, letter, wheel, clock, box, lamp, door, wall, chair, bell, rope, map, boat, roof
        """),
    "colour": _words("red, yellow, brown, white, black, grey, green, blue, golden, pale"),
    "side": _words("north, south, east, west"),
    "slow": _words("slow, early, express, evening, first, last"),
    "month": _words("January, February, March, April, May, June, July, August, September, October, November"),
    "distance": _words("two miles, 12 km, ten miles, 40 km, 300 metres, half a mile, 7 km"),
    "count": _words("two, three, four, five, six, seven, twelve, 15, 20, 40, 90"),
}
