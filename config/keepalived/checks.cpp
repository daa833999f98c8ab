#include "config/keepalived/checks.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

#include <fmt/format.h>

#include "config/keepalived/commands.h"
#include "config/keepalived/values.h"
#include "config/limits.h"
#include "config/text.h"

namespace headgate::config::keepalived {
namespace {

struct CheckSection {
  Draft& draft;
  std::string path;
  Check& check;
  CheckDefaults own;  // with what the block itself says
};

struct UrlSection {
  Draft& draft;
  std::string path;
  CheckUrl& url;
  std::string flags{};  // of the expression
};

// ---- pages

void read_status(UrlSection& s, const Statement& st) {
  if (st.words.size() < 2) return s.draft.error(st, "a status code is missing");
  for (size_t i = 1; i < st.words.size(); ++i) {
    const std::string& word = st.words[i].text;
    const size_t dash = word.find('-');
    Statement part{.place = st.place, .words = {st.words[0]}, .block = false, .children = {}};
    part.words.push_back({.text = word.substr(0, dash)});
    part.words.push_back({.text = dash == std::string::npos ? word : word.substr(dash + 1)});
    const auto first = number(s.draft, part, min_http_status, max_http_status, 1);
    const auto last = first ? number(s.draft, part, *first, max_http_status, 2) : std::nullopt;
    if (!last) return;
    s.url.status.push_back(
        {.first = static_cast<uint16_t>(*first), .last = static_cast<uint16_t>(*last)});
  }
}

void read_regex_options(UrlSection& s, const Statement& st) {
  static constexpr std::array<std::pair<std::string_view, char>, 4> flags{
      {{"caseless", 'i'}, {"multiline", 'm'}, {"dotall", 's'}, {"ungreedy", 'U'}}};
  for (size_t i = 1; i < st.words.size(); ++i) {
    const auto flag =
        std::ranges::find(flags, st.words[i].text, [](const auto& f) { return f.first; });
    if (flag != flags.end()) {
      s.flags += flag->second;
    } else {
      s.draft.note(st,
                   fmt::format("{}: not an option of RE2, ignored", in_quotes(st.words[i].text)),
                   s.path);
    }
  }
}

constexpr auto url_keywords = std::to_array<Keyword<UrlSection>>({
    {"path",
     [](UrlSection& s, const Statement& st) {
       only(s.draft, st, 2);
       if (const auto path = text(s.draft, st)) s.url.path = *path;
       s.draft.place(s.path + ".path", st);
     }},
    {"status_code", read_status},
    {"digest",
     [](UrlSection& s, const Statement& st) {
       only(s.draft, st, 2);
       s.url.digest = text(s.draft, st);
       if (s.url.digest) {
         std::ranges::transform(*s.url.digest, s.url.digest->begin(),
                                [](unsigned char c) { return std::tolower(c); });
       }
       s.draft.place(s.path + ".digest", st);
     }},
    {"virtualhost",
     [](UrlSection& s, const Statement& st) {
       only(s.draft, st, 2);
       s.url.host = text(s.draft, st);
       s.draft.place(s.path + ".host", st);
     }},
    {"regex",
     [](UrlSection& s, const Statement& st) {
       only(s.draft, st, 2);
       s.url.regex = text(s.draft, st);
       s.draft.place(s.path + ".regex", st);
     }},
    {"regex_no_match",
     [](UrlSection& s, const Statement& st) {
       only(s.draft, st, 1);
       s.url.regex_absent = true;
       s.draft.place(s.path + ".regex_absent", st);
     }},
    {"regex_options", read_regex_options},
});
constexpr auto url_unsupported = std::to_array<Unsupported>({
    {"regex_stack", "expressions are RE2's, which need no stack: ignored"},
    {"regex_min_offset", "the whole page is searched: ignored"},
    {"regex_max_offset", "the whole page is searched: ignored"},
    {"tls_compliant", "servers need not close a connection in order here: ignored"},
});

void read_url(CheckSection& s, const Statement& block) {
  const std::string path = fmt::format("{}.http.urls[{}]", s.path, s.check.http.urls.size());
  s.draft.place(path, block);
  CheckUrl& url = s.check.http.urls.emplace_back();
  UrlSection section{.draft = s.draft, .path = path, .url = url};
  read_section<UrlSection>(section, block.children, url_keywords, url_unsupported);
  if (url.regex && !section.flags.empty())
    url.regex = fmt::format("(?{}){}", section.flags, *url.regex);
}

// ---- UDP: words of hexadecimal digits, in pairs from the left; a digit alone is a byte.

std::optional<std::string> hexadecimal(CheckSection& s, const Statement& st, bool wildcards) {
  std::string result = "hex:";
  for (size_t i = 1; i < st.words.size(); ++i) {
    const std::string& word = st.words[i].text;
    for (size_t at = 0; at < word.size();) {
      if (word[at] == ' ') {
        ++at;
        continue;
      }
      const bool pair = at + 1 < word.size() && word[at + 1] != ' ';
      if (result.size() > 4) result += ' ';
      result += pair ? word.substr(at, 2) : std::string("0") + word[at];
      at += pair ? 2 : 1;
    }
  }
  for (char& c : result) {
    if (c == 'x' && &c != &result[2]) c = 'X';
  }
  const bool good = std::ranges::all_of(result.substr(4), [&](unsigned char c) {
    return std::isxdigit(c) != 0 || c == ' ' || (wildcards && c == 'X');
  });
  if (good && result.size() > 4) return result;
  s.draft.error(st, fmt::format("is followed by hexadecimal digits{}", wildcards ? ", or X" : ""));
  return std::nullopt;
}

void read_reply_length(CheckSection& s, const Statement& st, uint32_t& out) {
  only(s.draft, st, 2);
  const auto value = number(s.draft, st, 0, max_reply_bytes);
  if (value) out = static_cast<uint32_t>(*value);
}

// ---- what all have in common

void read_address(CheckSection& s, const Statement& st) {
  only(s.draft, st, 2);
  s.check.address = address(s.draft, st);
  s.draft.place(s.path + ".address", st);
}

void read_port(CheckSection& s, const Statement& st) {
  only(s.draft, st, 2);
  const auto value = number(s.draft, st, 1, UINT16_MAX);
  if (value) s.check.port = static_cast<uint16_t>(*value);
}

constexpr auto common_keywords = std::to_array<Keyword<CheckSection>>({
    {"connect_ip", read_address},
    {"connect_port", read_port},
    {"tcp_port", read_port},
    {"bindto",
     [](CheckSection& s, const Statement& st) {
       only(s.draft, st, 2);
       s.check.source = address(s.draft, st);
       s.draft.place(s.path + ".source", st);
     }},
    {"bind_port",
     [](CheckSection& s, const Statement& st) {
       only(s.draft, st, 2);
       const auto value = number(s.draft, st, 1, UINT16_MAX);
       if (value) s.check.source_port = static_cast<uint16_t>(*value);
     }},
    {"bind_if",
     [](CheckSection& s, const Statement& st) {
       only(s.draft, st, 2);
       s.check.interface = text(s.draft, st);
       s.draft.place(s.path + ".interface", st);
     }},
    {"fwmark",
     [](CheckSection& s, const Statement& st) {
       only(s.draft, st, 2);
       const auto mark = number(s.draft, st, 1, UINT32_MAX);
       if (mark) s.check.mark = static_cast<uint32_t>(*mark);
     }},
});
constexpr auto common_unsupported = std::to_array<Unsupported>({
    {"log_all_failures", "`headgate show checks` has every failure: ignored"},
});

constexpr auto http_keywords = std::to_array<Keyword<CheckSection>>({
    {"url", read_url},
    {"virtualhost",
     [](CheckSection& s, const Statement& st) {
       only(s.draft, st, 2);
       s.own.host = text(s.draft, st);
     }},
    {"http_protocol",
     [](CheckSection& s, const Statement& st) {
       only(s.draft, st, 2);
       const std::string version = text(s.draft, st).value_or("");
       if (version == "1.1") {
         s.check.http.version = HttpVersion::http_1_1;
       } else if (version != "1.0" && version != "1.0C" && version != "1.0c") {
         s.draft.error(st, fmt::format("{} is none of 1.0, 1.0C and 1.1", in_quotes(version)));
       }
     }},
    // Pages are asked one after the other without a pause anyway.
    {"fast_recovery", [](CheckSection& s, const Statement& st) { (void)boolean(s.draft, st); }},
    // The name goes into the handshake anyway.
    {"enable_sni", [](CheckSection& s, const Statement& st) { (void)boolean(s.draft, st); }},
});

constexpr auto script_keywords = std::to_array<Keyword<CheckSection>>({
    {"misc_path",
     [](CheckSection& s, const Statement& st) {
       const auto read = command(s.draft, st, s.path);
       if (!read) return;
       s.check.script.command = read->text;
       if (read->user) s.check.script.user = read->user;
       s.draft.place(s.path + ".script.command", st);
     }},
    {"misc_timeout",
     [](CheckSection& s, const Statement& st) {
       only(s.draft, st, 2);
       s.draft.place(s.path + ".timeout_ms", st);
       const auto ms = seconds(s.draft, st, 1000, min_check_timeout_ms, max_check_interval_ms);
       if (ms) s.check.timeout_ms = static_cast<uint32_t>(*ms);
     }},
    {"misc_dynamic",
     [](CheckSection& s, const Statement& st) {
       only(s.draft, st, 1);
       s.check.script.dynamic_weight = true;
     }},
    {"user",
     [](CheckSection& s, const Statement& st) {
       if (text(s.draft, st)) s.check.script.user = user(s.draft, st, 1);
     }},
});

constexpr auto dns_keywords = std::to_array<Keyword<CheckSection>>({
    {"type",
     [](CheckSection& s, const Statement& st) {
       only(s.draft, st, 2);
       if (const auto type = text(s.draft, st)) s.check.dns.type = *type;
       std::ranges::transform(s.check.dns.type, s.check.dns.type.begin(),
                              [](unsigned char c) { return std::toupper(c); });
       s.draft.place(s.path + ".dns.type", st);
     }},
    {"name",
     [](CheckSection& s, const Statement& st) {
       only(s.draft, st, 2);
       if (const auto name = text(s.draft, st)) s.check.dns.name = *name;
       s.draft.place(s.path + ".dns.name", st);
     }},
});

constexpr auto udp_keywords = std::to_array<Keyword<CheckSection>>({
    {"payload",
     [](CheckSection& s, const Statement& st) {
       s.check.udp.send = hexadecimal(s, st, false);
       s.draft.place(s.path + ".udp.send", st);
     }},
    {"require_reply",
     [](CheckSection& s, const Statement& st) {
       s.check.udp.require_reply = true;
       s.draft.place(s.path + ".udp.expect", st);
       if (st.words.size() > 1) s.check.udp.expect = hexadecimal(s, st, true);
     }},
    {"min_reply_length",
     [](CheckSection& s, const Statement& st) {
       read_reply_length(s, st, s.check.udp.min_reply_bytes);
     }},
    {"max_reply_length",
     [](CheckSection& s, const Statement& st) {
       read_reply_length(s, st, s.check.udp.max_reply_bytes);
     }},
});

void read_smtp_host(CheckSection& s, const Statement& block) {
  read_section<CheckSection>(s, block.children, common_keywords, common_unsupported);
}

constexpr auto smtp_keywords = std::to_array<Keyword<CheckSection>>({
    {"helo_name",
     [](CheckSection& s, const Statement& st) {
       only(s.draft, st, 2);
       if (const auto name = text(s.draft, st)) s.check.smtp.helo = *name;
       s.draft.place(s.path + ".smtp.helo", st);
     }},
    {"host", read_smtp_host},  // of keepalived 1
});

struct Checker {
  std::string_view name;
  CheckType type;
  uint32_t retries;
  std::optional<uint32_t> retry_delay_ms;  // empty: the interval
  std::span<const Keyword<CheckSection>> keywords;
};

const std::array<Checker, 8>& checkers() {
  static const std::array<Checker, 8> table{{
      {"TCP_CHECK", CheckType::tcp, 1, 1000, {}},
      {"HTTP_GET", CheckType::http, 1, 3000, http_keywords},
      {"SSL_GET", CheckType::https, 1, 3000, http_keywords},
      {"MISC_CHECK", CheckType::script, 0, 1000, script_keywords},
      {"DNS_CHECK", CheckType::dns, 3, std::nullopt, dns_keywords},
      {"UDP_CHECK", CheckType::udp, 1, 1000, udp_keywords},
      {"PING_CHECK", CheckType::ping, 1, 1000, {}},
      {"SMTP_CHECK", CheckType::smtp, 1, 1000, smtp_keywords},
  }};
  return table;
}

// The whole keyword list of one checker: its own, and what all have.
void read_lines(CheckSection& s, const Statement& block, const Checker& checker) {
  std::vector<Statement> rest;
  for (const Statement& line : block.children) {
    if (!read_check_default(s.draft, line, s.own)) rest.push_back(line);
  }
  std::vector<Keyword<CheckSection>> keywords(checker.keywords.begin(), checker.keywords.end());
  if (checker.type != CheckType::script) {
    keywords.insert(keywords.end(), common_keywords.begin(), common_keywords.end());
  }
  read_section<CheckSection>(s, rest, keywords, common_unsupported);
}

void settle(CheckSection& s, const Statement& block, const Checker& checker) {
  Check& check = s.check;
  check.interval_ms = s.own.interval_ms;
  if (checker.type == CheckType::script) {
    if (check.timeout_ms == 0) check.timeout_ms = s.own.interval_ms;
  } else {
    check.timeout_ms = s.own.timeout_ms;
  }
  check.retries = s.own.retries.value_or(checker.retries);
  check.retry_delay_ms =
      s.own.retry_delay_ms.value_or(checker.retry_delay_ms.value_or(s.own.interval_ms));
  check.warmup_ms = s.own.warmup_ms;
  check.start = s.own.alpha ? CheckStart::down : CheckStart::up;
  check.first_failure_decides = true;
  if (checker.type == CheckType::http || checker.type == CheckType::https) {
    check.http.host = s.own.host;
  }
  if (checker.type == CheckType::udp && !check.udp.send) {
    s.draft.note(block, "without a payload an empty datagram is sent, and no random one", s.path);
  }
  if (checker.type == CheckType::ping || checker.type == CheckType::script) {
    check.port.reset();
    check.source_port.reset();
  }
}

}  // namespace

bool read_check_default(Draft& draft, const Statement& st, CheckDefaults& defaults) {
  const std::string& keyword = st.keyword();
  const auto time = [&](uint64_t min) {
    only(draft, st, 2);
    const auto ms = seconds(draft, st, 1000, min, max_check_interval_ms);
    return ms ? std::optional(static_cast<uint32_t>(*ms)) : std::nullopt;
  };
  if (keyword == "delay_loop") {
    defaults.interval_ms = time(min_check_interval_ms).value_or(defaults.interval_ms);
  } else if (keyword == "connect_timeout") {
    defaults.timeout_ms = time(min_check_timeout_ms).value_or(defaults.timeout_ms);
  } else if (keyword == "retry" || keyword == "nb_get_retry") {
    only(draft, st, 2);
    const auto count = number(draft, st, 0, max_check_retries);
    if (count) defaults.retries = static_cast<uint32_t>(*count);
  } else if (keyword == "delay_before_retry") {
    defaults.retry_delay_ms = time(0);
  } else if (keyword == "warmup") {
    defaults.warmup_ms = time(0);
  } else if (keyword == "alpha") {
    defaults.alpha = boolean(draft, st).value_or(false);
  } else {
    return false;
  }
  return true;
}

bool is_checker(std::string_view keyword) {
  return keyword == "FILE_CHECK" || keyword == "BFD_CHECK" ||
         std::ranges::find(checkers(), keyword, &Checker::name) != checkers().end();
}

std::optional<Check> read_checker(Draft& draft, const Statement& block,
                                  const CheckDefaults& defaults, const std::string& path) {
  const auto checker = std::ranges::find(checkers(), block.keyword(), &Checker::name);
  if (checker == checkers().end()) {
    draft.note(block, "there is no such check here: left out; `MISC_CHECK` with a script can do it",
               path.substr(0, path.rfind(".checks")));
    return std::nullopt;
  }
  Check check;
  check.type = checker->type;
  if (checker->type == CheckType::script) check.timeout_ms = 0;
  check.http.version = checker->type == CheckType::http || checker->type == CheckType::https
                           ? HttpVersion::http_1_0
                           : check.http.version;
  if (checker->type == CheckType::udp) check.udp.max_reply_bytes = 255;
  draft.place(path, block);
  CheckSection section{.draft = draft, .path = path, .check = check, .own = defaults};
  read_lines(section, block, *checker);
  settle(section, block, *checker);
  const bool pages = checker->type == CheckType::http || checker->type == CheckType::https;
  if (pages && check.http.urls.empty()) {
    draft.mistake(block, "no url: the check is left out", path.substr(0, path.rfind(".checks")));
    return std::nullopt;
  }
  return check;
}

}  // namespace headgate::config::keepalived
