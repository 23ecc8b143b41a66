// Shortcodes that people and apps really use. Names follow Slack's; an unknown name stays as it was typed.

const TABLE = `
grinning 😀 smiley 😃 smile 😄 grin 😁 laughing 😆 sweat_smile 😅 joy 😂 rofl 🤣 slightly_smiling_face 🙂 upside_down_face 🙃
wink 😉 blush 😊 innocent 😇 heart_eyes 😍 star-struck 🤩 kissing_heart 😘 yum 😋 stuck_out_tongue 😛 thinking_face 🤔 neutral_face 😐
expressionless 😑 smirk 😏 unamused 😒 relieved 😌 pensive 😔 sleeping 😴 sunglasses 😎 nerd_face 🤓 confused 😕 worried 😟
open_mouth 😮 hushed 😯 astonished 😲 flushed 😳 cry 😢 sob 😭 scream 😱 disappointed 😞 sweat 😓 weary 😩 tired_face 😫 angry 😠 rage 😡
exploding_head 🤯 partying_face 🥳 face_with_monocle 🧐 saluting_face 🫡 robot_face 🤖 ghost 👻 see_no_evil 🙈 hear_no_evil 🙉
wave 👋 raised_hands 🙌 clap 👏 pray 🙏 handshake 🤝 +1 👍 thumbsup 👍 -1 👎 thumbsdown 👎 ok_hand 👌 v ✌️ crossed_fingers 🤞 muscle 💪
point_right 👉 point_left 👈 point_up ☝️ point_down 👇 eyes 👀 brain 🧠 bust_in_silhouette 👤 busts_in_silhouette 👥
heart ❤️ orange_heart 🧡 yellow_heart 💛 green_heart 💚 blue_heart 💙 purple_heart 💜 black_heart 🖤 white_heart 🤍 broken_heart 💔 sparkling_heart 💖
fire 🔥 sparkles ✨ star ⭐ star2 🌟 zap ⚡ boom 💥 tada 🎉 confetti_ball 🎊 balloon 🎈 gift 🎁 trophy 🏆 medal 🏅 first_place_medal 🥇 dart 🎯
rocket 🚀 airplane ✈️ car 🚗 checkered_flag 🏁 triangular_flag_on_post 🚩 construction 🚧 rotating_light 🚨 traffic_light 🚦
white_check_mark ✅ heavy_check_mark ✔️ ballot_box_with_check ☑️ x ❌ negative_squared_cross_mark ❎ heavy_multiplication_x ✖️ warning ⚠️ no_entry ⛔
no_entry_sign 🚫 octagonal_sign 🛑 question ❓ grey_question ❔ exclamation ❗ heavy_exclamation_mark ❗ bangbang ‼️ information_source ℹ️ 100 💯
red_circle 🔴 large_orange_circle 🟠 large_yellow_circle 🟡 large_green_circle 🟢 large_blue_circle 🔵 large_purple_circle 🟣 white_circle ⚪ black_circle ⚫
large_red_square 🟥 large_orange_square 🟧 large_yellow_square 🟨 large_green_square 🟩 large_blue_square 🟦 large_purple_square 🟪
white_large_square ⬜ black_large_square ⬛ white_small_square ▫️ black_small_square ▪️ large_blue_diamond 🔷 small_blue_diamond 🔹 small_orange_diamond 🔸
arrow_up ⬆️ arrow_down ⬇️ arrow_right ➡️ arrow_left ⬅️ arrow_upper_right ↗️ arrow_lower_right ↘️ arrows_counterclockwise 🔄 repeat 🔁 leftwards_arrow_with_hook ↩️
arrow_forward ▶️ double_vertical_bar ⏸️ black_square_for_stop ⏹️ fast_forward ⏩ rewind ⏪ black_right_pointing_triangle_with_double_vertical_bar ⏯️
hourglass ⌛ hourglass_flowing_sand ⏳ watch ⌚ stopwatch ⏱️ timer_clock ⏲️ alarm_clock ⏰ calendar 📅 date 📅 spiral_calendar_pad 🗓️ clock1 🕐 clock3 🕒 clock6 🕕 clock9 🕘
moneybag 💰 money_with_wings 💸 dollar 💵 credit_card 💳 receipt 🧾 chart_with_upwards_trend 📈 chart_with_downwards_trend 📉 bar_chart 📊 abacus 🧮 scales ⚖️
computer 💻 desktop_computer 🖥️ keyboard ⌨️ floppy_disk 💾 cd 💿 satellite 🛰️ electric_plug 🔌 battery 🔋 gear ⚙️ wrench 🔧 hammer 🔨 hammer_and_wrench 🛠️ nut_and_bolt 🔩
lock 🔒 unlock 🔓 key 🔑 shield 🛡️ mag 🔍 mag_right 🔎 microscope 🔬 telescope 🔭 test_tube 🧪 dna 🧬 bulb 💡 bug 🐛 broom 🧹 wastebasket 🗑️
package 📦 inbox_tray 📥 outbox_tray 📤 arrow_heading_down ⤵️ file_folder 📁 open_file_folder 📂 card_index_dividers 🗂️ page_facing_up 📄 page_with_curl 📃 scroll 📜 clipboard 📋
memo 📝 pencil 📝 pencil2 ✏️ bookmark 🔖 label 🏷️ paperclip 📎 link 🔗 pushpin 📌 round_pushpin 📍 books 📚 book 📖 notebook 📓 newspaper 📰
bell 🔔 no_bell 🔕 loudspeaker 📢 mega 📣 speech_balloon 💬 left_speech_bubble 🗨️ thought_balloon 💭 email 📧 envelope ✉️ phone ☎️ studio_microphone 🎙️ headphones 🎧
art 🎨 performing_arts 🎭 game_die 🎲 jigsaw 🧩 crystal_ball 🔮 magic_wand 🪄 crown 👑 gem 💎 seedling 🌱 herb 🌿 deciduous_tree 🌳 sunny ☀️ sunrise 🌅 cloud ☁️ rainbow 🌈
snowflake ❄️ umbrella ☔ ocean 🌊 earth_americas 🌎 globe_with_meridians 🌐 dog 🐶 cat 🐱 turtle 🐢 snail 🐌 rabbit 🐰 unicorn_face 🦄 llama 🦙 owl 🦉 bee 🐝
coffee ☕ tea 🍵 beer 🍺 pizza 🍕 cake 🎂 apple 🍎 lemon 🍋 egg 🥚 office 🏢 house 🏠 factory 🏭 zzz 💤 recycle ♻️ new 🆕 ok 🆗 sos 🆘 up 🆙 free 🆓 cool 🆒
one 1️⃣ two 2️⃣ three 3️⃣ four 4️⃣ five 5️⃣ six 6️⃣ seven 7️⃣ eight 8️⃣ nine 9️⃣ zero 0️⃣ keycap_ten 🔟 hash #️⃣ heavy_plus_sign ➕ heavy_minus_sign ➖ tm ™️
`;

const words = TABLE.trim().split(/\s+/);
const EMOJI = new Map();
for (let i = 0; i < words.length; i += 2) EMOJI.set(words[i], words[i + 1]);

/** The emoji of a shortcode (skin tones are ignored), or null. */
export function emoji(name) {
  return EMOJI.get(String(name).split('::')[0]) || null;
}

/** Replace the `:shortcodes:` of a plain text. */
export function withEmoji(text) {
  return String(text).replace(/:([a-z0-9_+-]+):(?::skin-tone-\d:)?/g, (whole, name) => emoji(name) || whole);
}

/** How many shortcodes are known. */
export const emojiCount = EMOJI.size;
