"""Words of which boards make their general tags: what somebody looks like, wears, holds and does.

In a plain list of tags names stand unmarked between them: of other characters, of shows, of whoever drew it. A tag is
known as general when all its words are; what a tagger says of any picture is known too. The list leaves out words of
which titles and names are made ("piece", "moon", "princess"), even where tags have them too.
"""

from __future__ import annotations

import re

from fullcast.captions.vocabulary import NOT_TRAITS, TRAIT_TAGS, TRAIT_WORDS


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_WORDS = _words("""
    a an the of in on at to by with without and or over under between behind beside against around from for up
    down off out through into upon off-shoulder own other others another viewer back front side one two three
    four five six seven eight nine ten single double triple multiple many both no half quarter very long short
    medium small large big huge tiny tall wide narrow thin thick high low deep flat loose tight absurdly extra
    oversized miniature full partial partially uneven asymmetrical symmetrical different matching black white
    grey gray silver brown blonde red orange yellow green aqua teal cyan blue purple violet pink lavender gold
    golden beige navy maroon dark light pale pastel bright colored multicolored two-tone gradient tan dyed
    streaked colorful rainbow inner highlights streaks rimmed edge past shaped x v

    hair bangs fringe swept parted blunt crossed braided curly wavy straight spiky messy floating wind tied
    untied pulled tucked bound hime bowl crew cut shave shaved pixie shoulder length chest waist hip knee ankle
    ponytails tail top knot flipped drill ringlets intakes antenna flaps spread tousled slicked sideburn
    curtained pigtails lock locks strand strands loop wet shiny glossy

    face head forehead ear ears eye eyebrow lash lashes nose mouth lip lips teeth tooth tongue chin cheek cheeks
    jaw neck nape collarbone collarbones shoulders arm arms armpit armpits elbow elbows forearm wrist wrists
    hand hands palm fist fists finger fingers fingertips thumb thumbs fingernails nail nails body upper lower
    torso midriff navel stomach belly abs muscle muscular muscles breast breasts cleavage bust hips thigh thighs
    leg legs kneecap knees calf shin foot feet toe toes toenails barefoot heel soles backboob skin tanned
    tanline tanlines freckle sweat sweating sweatdrop skinny slim slender curvy petite plump chubby toned mature
    old young elderly aged wrinkles stubbly scars bruise bruised blood bloody wound injury dirty mascara
    eyeliner eyeshadow makeup lipstick blush blushing tear tears

    smile smiling smirk grin grinning frown frowning laugh laughing giggling cry crying sob sad happy angry
    annoyed upset serious scared afraid nervous worried shy embarrassed surprised shocked confused bored tired
    sleepy drowsy sleeping asleep expressionless emotionless blank empty stare evil crazy smug proud pout
    pouting glare glaring scowl wince grimace clenched gritted open closed wide-eyed wink winking squinting
    rolling averted narrowed dilated constricted slit raised furrowed drooling drool licking biting blowing
    whistling shouting screaming yelling talking singing whispering yawning sighing exhaling breath breathing
    heavy naughty seductive sheepish determined depressed excited relaxed flustered jealous disgust disgusted
    disappointed ashamed trembling shaking thumbs straight-on

    standing sitting kneeling lying squatting crouching walking running jumping falling flying leaning bent
    bending stretching stretch arching dancing posing pose fighting stance kicking punching throwing catching
    swinging riding climbing crawling hanging carrying holding hold grabbing gripping hugging hug kissing kiss
    touching poking pinching pulling pushing pointing waving reaching outstretched beckoning saluting salute
    clapping praying covering covered adjusting removing undressing dressing wearing tying brushing combing
    washing bathing swimming showering drinking drink eating eat cooking cutting reading writing drawing
    painting playing studying working shopping sewing cleaning looking look facing turning turned away spinning
    wading resting waiting thinking searching listening taking photographing texting typing driving cycling
    skating skateboarding skiing fishing firing aiming shooting slashing wielding casting clasped folded
    interlocked peace sign ok gesture akimbo rest wariza seiza indian style straddling piggyback carry headpat
    lap pillow selfie profile view motion action steepled shrugging shushing

    clothes clothing outfit uniform costume casual formal swimsuit swimsuits bikini one-piece school sailor
    serafuku gakuran seifuku blazer jacket coat overcoat trench raincoat windbreaker parka hoodie hood hooded
    cardigan sweater turtleneck pullover vest waistcoat shirt t-shirt tshirt blouse tanktop tank camisole crop
    cropped tube dress sundress pinafore gown skirt miniskirt pleated pencil layered frilled frills frill
    ruffles ruffled lace laced trim trimmed petticoat shorts pants trousers jeans denim leggings tights
    pantyhose thighhighs kneehighs kneesocks socks sock stockings stocking legwear legwarmers garter belt
    suspenders overalls apron maid pajamas pyjamas nightgown robe bathrobe kimono yukata haori hakama obi
    furisode hanten kosode happi jinbei sarashi cheongsam hanfu cape capelet cloak poncho shawl scarf muffler
    necktie tie bowtie bow bows ribbon ribbons neckerchief ascot cravat collar collared collarless choker
    necklace pendant locket beads brooch badge pin emblem medal armband bracelet bangle wristband wristwatch
    watch ring rings earring earrings stud anklet jewelry gem jewel pearl crystal chain glove gloves mitten
    mittens gauntlets gauntlet bridal fingerless sleeve sleeves sleeved sleeveless puffy juliet rolled detached
    cuffs cuff shoe shoes loafers sneakers boots boot sandals slippers heels pumps geta zouri uwabaki footwear
    hat hats cap beret beanie bonnet headwear headdress headgear helmet crown tiara veil bandana headband
    hairband headphones headset earphones earmuffs earbuds mask goggles glasses eyewear sunglasses eyepatch
    rimless semi-rimless framed round square bag handbag backpack satchel pouch randoseru briefcase suitcase
    strap straps strapless spaghetti halter button buttons buttoned unbuttoned zipper zip unzipped pocket
    pockets buckle sash drawstring hem plaid striped stripes vertical horizontal diagonal polka dot dots floral
    print patterned checkered argyle camouflage plain solid transparent see-through sheer wool knit knitted
    leather latex fur fur-trimmed silk cotton rubber plastic metal wooden paper glass underwear bra panties
    lingerie boxers briefs fundoshi bloomers buruma gym track sportswear jersey tracksuit leotard bodysuit armor
    pauldrons breastplate wetsuit rash guard winter summer wardrobe bare backless plunging neckline shoulderless
    cutout sideslit zettai ryouiki absolute alternate official traditional japanese chinese western military
    police nurse waitress chef cheerleader santa bunny gothic lolita punk idol bandage bandages bandaid cast
    sling tattoo piercing polish lanyard nametag tag sarong swimwear floatie lace-up low-cut monocle

    ornament accessory flower flowers petals rose roses lily sunflower daisy hibiscus tulip bouquet leaf leaves
    feather feathers star-shaped heart heart-shaped symbol cross crescent bell bells tassel charm keychain doll
    plushie stuffed animal toy balloon bubble bubbles ball basketball soccer volleyball tennis baseball racket
    bat net umbrella parasol fan folding phone cellphone smartphone telephone camera tablet laptop computer
    keyboard microphone guitar bass electric piano violin trumpet flute drum drums drumsticks instrument book
    books notebook pen marker brush paintbrush eraser ruler sheet letter envelope card newspaper magazine map
    scroll clipboard broom mop bucket towel blanket cushion chair stool bench desk table sofa couch bed futon
    kotatsu window curtain curtains door mirror lamp lantern candle clock box gift present bottle cup mug teacup
    teapot kettle plate tray spoon fork knife chopsticks straw can thermos bento lunchbox food bread toast
    sandwich hamburger pizza noodles ramen rice onigiri sushi egg meat fish fruit apple banana strawberry cherry
    lemon watermelon peach grapes vegetable carrot tomato cake cupcake cookie pocky candy lollipop chocolate ice
    cream popsicle crepe donut pancake pastry parfait dango mochi taiyaki tea coffee milk juice water soda
    alcohol beer sake wine cigarette smoking smoke pipe weapon sword swords katana blade dagger spear lance axe
    scythe hammer staff wand arrow arrows quiver gun handgun pistol rifle shotgun sheath sheathed scabbard
    shield rope chains handcuffs key keys coin money wallet basket bicycle bike motorcycle scooter car ticket
    flag banner sparkler fireworks torch flashlight trekking hiking pole poles stick cane crutch wheelchair
    rucksack canteen stethoscope syringe thermometer controller handheld game console whistle cat dog puppy
    kitten rabbit fox wolf bear mouse bird birds owl butterfly horse pawpose paw paws claws claw fang fangs horn
    horns wing wings halo pointy antlers whiskers snout tailed feathered scales gills fin robot joints
    mechanical prosthesis artificial

    alone together group couple crossdressing androgynous tomboy height difference contrast peeking shadow shade
    silhouette reflection backlit sparkle sparkles sparkling glint glowing glow steam fog mist splash splashing
    droplets drop drops snowflakes snowing raining windy cold hot sweaty warm sunny speech thought spoken
    exclamation question mark marks anger vein musical note notes squiggle contrapposto cowboy pov
    foreshortening dutch angle close portrait
""")

_KNOWN = _WORDS | {word for tags in (TRAIT_WORDS, TRAIT_TAGS, NOT_TRAITS) for tag in tags for word in tag.split()}

_NAMES = _words("""
    black blue cherry crystal daisy gold green grey lemon lily peach pearl pink red rose silver sunflower violet white
    yellow
""")
"""General beside other words ("red hair"); alone they are somebody's name, or say nothing."""

_FACE = re.compile(r"[\W_]+|(?=.*[^\w\s.])\S[\W\d_a-z]{0,3}")
"""Emoticons: ":d", "^ ^", ">:(", "d:"."""


def is_general(tag: str) -> bool:
    """Whether all words of a tag, written with spaces in small letters, are of those above."""
    if _FACE.fullmatch(tag):
        return True
    return bool(tag) and tag not in _NAMES and all(map(_is_known, tag.split()))


def _is_known(word: str) -> bool:
    word = word.removesuffix("'s").removesuffix("'")
    parts = word.split("-") if word not in _KNOWN else ()
    return all(part in _KNOWN or part.removesuffix("s") in _KNOWN for part in parts)
