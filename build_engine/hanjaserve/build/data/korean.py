"""Small hand-made tables of Korean that no dictionary without senses has.

Our own: one-syllable Sino-Korean verb stems before 하, affixes and counters by part of speech
(tags of the Sejong corpus), adverbs, and native words that look like a Sino-Korean noun.
"""

HA_STEMS = dict(
    zip(
        "대위정관통의인구취당속원변전행향합면피택청처접비반발범급강약귀권금능달망멸명상선악심연응임족존중칭파폐한"
        "해흥가감고기논독득벌순실요준천과제",
        "對爲定關通依因求取當屬願變傳行向合免避擇請處接比反發犯急强弱貴勸禁能達亡滅命傷善惡甚軟應臨足存重稱破廢限"
        "害興加減告期論毒得罰順失要準賤課除",
        strict=True,
    )
) | {"구": "求救"}
"""Several Hanja where a stem has several senses."""

SINO_PRONOUNS = dict(당신="當身", 자기="自己", 자신="自身", 본인="本人", 피차="彼此", 제군="諸君", 귀하="貴下")

SINO_ADVERBS = dict(zip("특심급감극공", "特甚急敢極公", strict=True))

BEFORE_JEOK = dict(
    zip(
        "사공성지인극양미물외내심동정질법영육전횡종수병암시신악단",
        "私公性知人劇量美物外內心動靜質法靈肉全橫縱數病暗詩神惡端",
        strict=True,
    )
)
"""Before the suffix 적: 사적 is 私的."""

# (syllable, tag) -> allowed Hanja; "" = KEEP. What is not listed stays unknown.
AFFIXES: dict[tuple[str, str], str] = {}


def _add(tag: str, syllables: str, hanja: str) -> None:
    for syllable, spelling in zip(syllables, hanja, strict=True):
        AFFIXES[syllable, tag] = spelling


_XSN = (
    "적자성화권률율법물품비료금액인원장부처청국과실소관서론학주형용상식력점제단회업가계기도선",
    "的者性化權率率法物品費料金額人員長部處廳局課室所館署論學主型用上式力點制團會業家系器度線",
)
_add("XSN", *_XSN)
_NNB = ("년월일시분초개명번회건호조항위점주차원층대권편장인호종세", "年月日時分秒個名番回件號條項位點週次圓層臺卷篇章人號種歲")
_add("NNB", *_NNB)
_add("XPN", "제재신구총대소고저무불부비미최반초전후", "第再新舊總大小高低無不不非未最反超前後")
_add("MM", "각본현전총매약타별동해양제모", "各本現全總每約他別同該兩諸某")
_add("NNG", "법령수문병역답표창점전후중내외상하시간건권금시군구동면", "法令數門病驛答票窓點前後中內外上下時間件權金市郡區洞面")
_add("NNB", "등중간내외전후", "等中間內外前後")
_add("NR", "일이삼사오육칠팔구십백천만억조영", "一二三四五六七八九十百千萬億兆零")
_add("MAG", "즉혹단", "卽或但")
_add("MAJ", "즉혹단", "卽或但")
for _word in "들님씨쯤째짜리네꾼질끼리뿐":
    AFFIXES[_word, "XSN"] = ""
for _word in "것수데줄바만뿐때채척듯거게걸건지대로김터손":
    AFFIXES[_word, "NNB"] = ""
for _word in "앞뒤위밑옆안밖때말일길집물불땅눈코입귀손발몸꿈빛힘돈밤낮봄꽃곳끝딸밥술옷글철":
    AFFIXES[_word, "NNG"] = ""
for _word in "이그저한두세네첫새옛헌딴온":
    AFFIXES[_word, "MM"] = ""
for _word in "나너저내네그이누":
    AFFIXES[_word, "NP"] = ""
for _word in "더안못잘또다꼭참늘좀막곧":
    AFFIXES[_word, "MAG"] = ""
AFFIXES["자", "NNB"] = "者"
AFFIXES["시", "NNB"] = "時"
AFFIXES["대", "NNB"] = "代臺對"
AFFIXES["기", "NNB"] = "期基機"
AFFIXES["장", "XSN"] = "長場狀張章"
AFFIXES["부", "XSN"] = "部附夫婦"
AFFIXES["상", "XSN"] = "上狀像"
AFFIXES["기", "XSN"] = "器機期記氣"
AFFIXES["도", "XSN"] = "度圖道"
AFFIXES["소", "XSN"] = "所"
AFFIXES["사", "XSN"] = "社士師事史"
AFFIXES["수", "XSN"] = "手數水首"
AFFIXES["지", "XSN"] = "地紙誌"
AFFIXES["원", "XSN"] = "員院園"
AFFIXES["실", "XSN"] = "室"
AFFIXES["비", "XSN"] = "費"
AFFIXES["관", "XSN"] = "館官觀管"
AFFIXES["주", "XSN"] = "主州"
AFFIXES["선", "XSN"] = "線船選"
AFFIXES["제", "XSN"] = "制劑祭第"
AFFIXES["과", "XSN"] = "課科"
AFFIXES["주", "NNB"] = "週"
AFFIXES["원", "NNB"] = ""
AFFIXES["권", "NNB"] = "卷"
AFFIXES["위", "NNB"] = "位"

NATIVE = frozenset(
    """
    사람 나라 하늘 우리 마음 자리 아이 소리 가지 다리 사이 거리 고기 나무 바다 서울 아주 모두 누구 무엇 여기 저기 거기
    어디 이제 아직 이미 다시 바로 매우 너무 정말로 그냥 처음 마지막 하나 다섯 여섯 일곱 여덟 아홉 오늘 어제 내일모레
    아버지 어머니 아들 며느리 사위 오빠 누나 언니 동무 아기 이름 이야기 노래 그림 구름 바람 여름 가을 겨울 아침 저녁
    머리 가슴 허리 어깨 무릎 얼굴 목소리 주머니 보기 쓰기 읽기 말하기 듣기 모습 모양새 생김 느낌 움직임 도움 고침 지움 알림
    열기 닫기 만들기 지우기 고치기 찾기 바꾸기 더하기 빼기 나누기 곱하기 넣기 놓기 가기 오기 보내기 받기 돌리기 그리기
    때문 동안 가운데 아래 오른쪽 왼쪽 바깥 둘레 언덕 골짜기 모래 자갈 바위 마을 고을 어른 젊은이 늙은이 나그네
    미리 먼저 나중 함께 서로 스스로 따로 같이 많이 빨리 천천히 조금 거의 오래 자주 가끔 항아리 사과나무 보리 가루 나이
    조차 마저 부터 까지 이나 이라도 하지만 그러나 그리고 그러면 그래서 따라서 또는 만약에 아니면 이러 그러 저러 어떠
    누리 두루 무리 사나이 아내 어미 아비 자식새끼 고양이 강아지 토끼 거미 나비 모기 파리 개미 오리 거위 두루미
    생각 사랑 재미 지루 우리 조금 이제 잔잔 다음 예전 언제 혼자 그녀 궁금 죽음 이리 가득 어제 하루 마치 애기 아기 무척 대충
    울림 달리 거지 저희 상어 여태 허접 구석 보기 고개 얼음 가방 수박 허리 졸음 먹칠 심심 시원 답답 대단 억지 정작 허전 수고
    나중 소리 제발 시시 아마 대박 설마 두루 마주 조용 초롱 말투 가난 절로 이거 요거 저거 그거 별루 탄탄 자주 이를 아무 거기
    밖에 매번이나 노릇 버릇 도마 부디 바가지 방울 사슴 자루 주먹 주름 지붕 차라리 하품 한숨 해님 호랑이 오징어 미역 두부장
    소금 화살 우물 엄지 사슬 단골 작살 김치 수다 차지 대머리 구경 귓가 두말 나위 입담 발차기 대가리 어거지 어처구니 아부지
    감자 고구마 오이 가위 바위 보자기 이불 베개 바지 저고리 치마 구두 가마 수레 바퀴 도끼 호미 가래 사다리 울타리
    """.split()
)

NATIVE_ADVERBS = frozenset(
    """
    가장 다만 마냥 미처 오로지 이리 저리 그리 고로 하여금 비록 갑자기 적어도 비로소 게다가 억지로 하도 제법 오직 글구 하하 호호
    후후 고작 두고두고 요새 문득 문득문득 막상 저절로 한창 도무지 차마 마구 마구마구 어서 이대로 이어 이내 이루 이만 통통 구질구질
    찬찬히 조용히 조마조마 아슬아슬 제대로 오죽 슬슬 작작 달달 징징 철철 고루 연신 진작 고만 모조리 사뭇 도로 함부로 새로 억수로
    하마터면 시나브로 가까스로 도리어 구태여 고이 고스란히 기껏 가만 가만히 대뜸
    """.split()
)
"""Native as adverbs; as nouns some of them are Sino-Korean (가장 家長)."""

NATIVE_ROOTS = frozenset(
    "어수선 어마어마 무시무시 개운 차분 대견 서운 구수 수수 고단 고요 초라 불쌍 우락부락".split()
)
"""Native as roots of adjectives; as nouns some of them are Sino-Korean (수수 授受)."""

ADVERBS_SPELT = dict(
    단지="但只", 대체="大體", 유독="惟獨", 무사히="無事히", 별로="別로", 주로="主로", 실로="實로"
)
"""Adverbs whose Hanja are not those of the noun that sounds alike (단지 團地)."""

LOANS = frozenset(
    """
    파일 배지 제로 데모 마초 토니 소피 찰리 조지 나치 예수 쥬라기 로망 마리 제리 다이 이메일 이미지 메시지 페이지 아이디
    사이트 가이드 프로필 메뉴 로고 코드 카드 모드 도시락 세미나 오페라 시나리오 파라다이스 가스 버스 텔레비전 라디오 카메라
    무비 타입 미사일 사탄 소울 하이 어필 우동 모세 애로
    """.split()
)
"""Loan words that look like Sino-Korean ones, whole or in part."""

VARIANTS = dict(zip("強絕畫祕涼戲鄰峯舘", "强絶畵秘凉戱隣峰館", strict=True))
"""Forms that the standard dictionary prints, and those that Korean text of today has."""
