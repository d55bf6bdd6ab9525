/** @file The words that frame a question of MMLU-ProX in each of its languages, as its authors translated them. */
export interface ProxWords {
  readonly question: string;
  readonly options: string;
  /** How the model's answer starts. */
  readonly start: string;
  /** How the data set's examples start instead. */
  readonly given: string;
}

const words = (question: string, options: string, start: string, given: string): ProxWords => ({
  question,
  options,
  start,
  given,
});

export const PROX_WORDS: Readonly<Record<string, ProxWords>> = {
  af: words("Vraag:", "Opsies:", "Antwoord: Kom ons dink stap vir stap.", "A: Kom ons dink stap vir stap."),
  ar: words("سؤال:", "الخيارات:", "الإجابة: دعنا نفكر خطوة بخطوة.", "أ: دعنا نفكر خطوة بخطوة."),
  bn: words("প্রশ্ন:", "বিকল্পগুলি:", "উত্তর: আসুন ধাপে ধাপে চিন্তা করি।", "A: আসুন ধাপে ধাপে চিন্তা করি।"),
  cs: words("Otázka:", "Možnosti:", "Odpověď: Přemýšlejme krok za krokem.", "A: Přemýšlejme krok za krokem."),
  de: words(
    "Frage:",
    "Optionen:",
    "Antwort: Denken wir Schritt für Schritt nach.",
    "A: Denken wir Schritt für Schritt nach.",
  ),
  en: words("Question:", "Options:", "Answer: Let's think step by step.", "A: Let's think step by step."),
  es: words("Pregunta:", "Opciones:", "Respuesta: Pensemos paso a paso.", "A: Pensemos paso a paso."),
  fr: words("Question :", "Options :", "Réponse : Réfléchissons étape par étape.", "A: Réfléchissons étape par étape."),
  hi: words("प्रश्न:", "विकल्प:", "उत्तर: चलिए चरण-दर-चरण सोचते हैं।", "A: चलिए चरण-दर-चरण सोचते हैं।"),
  hu: words("Kérdés:", "Opciók:", "Válasz: Gondolkodjunk lépésről lépésre.", "A: Gondolkodjunk lépésről lépésre."),
  id: words(
    "Pertanyaan:",
    "Pilihan:",
    "Jawaban: Mari berpikir langkah demi langkah.",
    "A: Mari berpikir langkah demi langkah.",
  ),
  it: words("Domanda:", "Opzioni:", "Risposta: Ragioniamo passo dopo passo.", "A: Ragioniamo passo dopo passo."),
  ja: words("質問：", "選択肢：", "回答：一歩一歩考えていきましょう。", "A: 一歩一歩考えていきましょう。"),
  ko: words("질문：", "선택 사항：", "답변: 한 단계씩 생각해 봅시다.", "A: 한 단계씩 생각해 봅시다."),
  mr: words("प्रश्न:", "पर्याय:", "उत्तर: चला पायरी पायरीने विचार करू.", "A: चला पायरी पायरीने विचार करू."),
  ne: words("प्रश्न:", "विकल्पहरू:", "उत्तर: चरणबद्ध रूपमा सोचौं।", "A: चरणबद्ध रूपमा सोचौं।"),
  pt: words("Pergunta:", "Opções:", "Resposta: Vamos pensar passo a passo.", "A: Vamos pensar passo a passo."),
  ru: words("Вопрос:", "Варианты:", "Ответ: Давайте подумаем шаг за шагом.", "A: Давайте подумаем шаг за шагом."),
  sr: words("Pitanje:", "Opcije:", "Odgovor: Razmislimo korak po korak.", "A: Razmislimo korak po korak."),
  sw: words("Swali:", "Chaguo:", "Jibu: Hebu tufikiria hatua kwa hatua.", "A: Hebu tufikiria hatua kwa hatua."),
  te: words("ప్రశ్న:", "ఎంపికలు:", "సమాధానం: దశలవారీగా ఆలోచిద్దాం.", "A: దశలవారీగా ఆలోచిద్దాం."),
  th: words("คำถาม:", "ตัวเลือก:", "คำตอบ: มาคิดทีละขั้นตอนกัน", "A: มาคิดทีละขั้นตอนกัน"),
  uk: words(
    "Питання:",
    "Варіанти:",
    "Відповідь: Давайте подумаємо крок за кроком.",
    "A: Давайте подумаємо крок за кроком.",
  ),
  ur: words("سوال:", "آپشنز:", "جواب: آئیے قدم بہ قدم سوچتے ہیں۔", "A: آئیے قدم بہ قدم سوچتے ہیں۔"),
  vi: words("Câu hỏi:", "Lựa chọn:", "Trả lời: Hãy suy nghĩ từng bước một.", "A: Hãy suy nghĩ từng bước một."),
  wo: words("Laaj:", "Tànneef:", "Tontu: Nan xalaat ci dooley dooley.", "A: Nan xalaat ci dooley dooley."),
  yo: words("Ìbéèrè:", "Àwọn àṣàyàn:", "Ìdáhùn: Ẹ jẹ́ ká ronú lọ́nà tíṣíṣe.", "A: Ẹ jẹ́ ká ronú lọ́nà tíṣíṣe."),
  zh: words("问题：", "选项：", "答案：让我们一步一步地思考。", "A: 让我们一步一步地思考。"),
  zu: words(
    "Umbuzo:",
    "Izinketho:",
    "Impendulo: Asicabange isinyathelo ngesinyathelo.",
    "A: Asicabange isinyathelo ngesinyathelo.",
  ),
};
