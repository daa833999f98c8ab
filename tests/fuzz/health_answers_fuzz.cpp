// What servers answer to probes, and patterns of bytes. Byte 0 of the input chooses, byte 1 how a
// stream is cut:
// h, H  HTTP, the status alone or the body: however the answer is cut, it comes to the same
// s     replies of a mail server: the same
// d     a message of DNS: the id counts, and nothing that is not an answer decides
// p     a pattern: it matches its own bytes
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "control/health/byte_pattern.h"
#include "control/health/dns_question.h"
#include "control/health/http_answer.h"
#include "control/health/smtp_reply.h"

namespace {

using namespace headgate;
using namespace headgate::control;

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

// ---- HTTP

struct Read {
  bool good = false;
  unsigned status = 0;
  std::string text;
  std::string digest;

  bool operator==(const Read&) const = default;
};

Read read_answer(std::string_view stream, size_t piece, bool body) {
  HttpAnswer::Wanted wanted;
  wanted.text = body;
  if (body) wanted.digest = config::DigestType::sha256;
  HttpAnswer answer(wanted);
  std::string have;
  while (!answer.done() && !stream.empty()) {
    have += stream.substr(0, piece);
    stream.remove_prefix(std::min(piece, stream.size()));
    const auto taken = answer.feed(have);
    if (!taken) {
      require(!taken.error().empty(), "an error without a word");
      return {};
    }
    require(*taken <= have.size(), "more taken than given");
    have.erase(0, *taken);
  }
  if (const auto problem = answer.end()) return {};
  require(answer.done() && answer.has_status(), "an end without an answer");
  Read read{.good = true, .status = answer.status(), .text = {}, .digest = {}};
  if (!body) return read;
  read.digest = answer.digest();
  read.text = answer.take_text();
  require(read.text.size() <= HttpAnswer::most_body_bytes, "a body longer than allowed");
  return read;
}

void check_http(std::string_view stream, size_t piece, bool body) {
  const Read whole = read_answer(stream, stream.size() + 1, body);
  require(read_answer(stream, piece, body) == whole, "an answer that depends on how it is cut");
}

// ---- mail

struct Talk {
  std::vector<SmtpReply> replies;
  std::string error;

  bool operator==(const Talk&) const = default;
};

Talk read_replies(std::string_view stream, size_t piece) {
  SmtpReplyReader reader;
  Talk talk;
  while (!stream.empty()) {
    reader.add(stream.substr(0, piece));
    stream.remove_prefix(std::min(piece, stream.size()));
    while (true) {
      const auto reply = reader.next();
      if (!reply) {
        talk.error = reply.error();
        return talk;
      }
      if (!*reply) break;
      require((*reply)->code >= 100 && (*reply)->code <= 999, "a code of other than three digits");
      talk.replies.push_back(**reply);
    }
  }
  return talk;
}

// ---- DNS

void check_dns(std::span<const uint8_t> bytes) {
  using Means = DnsQuestion::Means;
  config::CheckDns check;
  check.name = "www.example.org";
  check.type = "TXT";
  static const auto plain = DnsQuestion::make(check);
  check.answer = "hello";
  static const auto picky = DnsQuestion::make(check);
  if (bytes.size() < 2) return;
  const auto id = static_cast<uint16_t>(bytes[0] << 8 | bytes[1]);
  for (const auto& question : {&plain, &picky}) {
    const auto verdict = (*question)->judge(bytes, id);
    require(verdict.means == Means::nothing || !verdict.reason.empty(), "without a reason");
    const auto other = (*question)->judge(bytes, static_cast<uint16_t>(id + 1));
    require(other.means == Means::nothing, "an answer of another id");
  }
  const bool right = (*picky).judge(bytes, id).means == Means::right;
  require(!right || (*plain).judge(bytes, id).means == Means::right, "right without being one");
}

void check_pattern(std::string_view text) {
  const auto pattern = BytePattern::parse(text);
  if (!pattern) return require(!pattern.error().text.empty(), "an error without a word");
  require(pattern->matches(pattern->bytes()), "a pattern that does not match its own bytes");
  require(pattern->size() <= text.size(), "more bytes than characters");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const size_t piece = data[1] % 64 + 1;
  const std::string_view rest(reinterpret_cast<const char*>(data + 2), size - 2);
  switch (data[0]) {
    case 'h':
    case 'H':
      check_http(rest, piece, data[0] == 'H');
      break;
    case 's':
      require(read_replies(rest, piece) == read_replies(rest, rest.size() + 1),
              "replies that depend on how the stream is cut");
      break;
    case 'd':
      check_dns({data + 2, size - 2});
      break;
    case 'p':
      check_pattern(rest);
      break;
    default:
      break;
  }
  return 0;
}
