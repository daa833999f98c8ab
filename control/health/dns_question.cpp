#include "control/health/dns_question.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdlib>
#include <ldns/ldns.h>
#include <string_view>

#include <fmt/format.h>

namespace headgate::control {

namespace {

// ldns's objects, each with its own way to be freed.
template <auto free_object>
struct Free {
  template <typename T>
  void operator()(T* object) const {
    free_object(object);
  }
};
using Packet = std::unique_ptr<ldns_pkt, Free<ldns_pkt_free>>;
using Record = std::unique_ptr<ldns_rr, Free<ldns_rr_free>>;
using Text = std::unique_ptr<char, Free<std::free>>;

std::optional<unsigned> number_of(std::string_view text, unsigned most) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value > most) {
    return std::nullopt;
  }
  return value;
}

std::expected<ldns_rr_type, Error> type_of(const std::string& text) {
  constexpr unsigned most = 65535;
  if (const auto number = number_of(text, most)) return static_cast<ldns_rr_type>(*number);
  const ldns_rr_type type = ldns_get_rr_type_by_name(text.c_str());
  if (type != 0) return type;
  return std::unexpected(Error{fmt::format("type {}: not known; write its number", text)});
}

std::expected<std::optional<unsigned>, Error> rcode_of(const std::string& text) {
  constexpr unsigned most = 15;
  if (text == "any") return std::nullopt;
  if (const auto number = number_of(text, most)) return number;
  const ldns_lookup_table* const found = ldns_lookup_by_name(ldns_rcodes, text.c_str());
  if (found != nullptr) return static_cast<unsigned>(found->id);
  return std::unexpected(Error{fmt::format("rcode {}: not known; write its number", text)});
}

std::string rcode_text(unsigned code) {
  const ldns_lookup_table* const found = ldns_lookup_by_id(ldns_rcodes, static_cast<int>(code));
  return found != nullptr ? found->name : fmt::format("{}", code);
}

std::string text_of(const ldns_rdf* field) {
  const Text text(ldns_rdf2str(field));
  return text ? text.get() : "";
}

// A record's data as a zone file has it.
std::string data_text(const ldns_rr* record) {
  std::string text;
  for (size_t i = 0; i < ldns_rr_rd_count(record); ++i) {
    if (i > 0) text += ' ';
    text += text_of(ldns_rr_rdf(record, i));
  }
  return text;
}

// The strings of a TXT record, without quotes and escapes, one after the other.
std::string txt_content(const ldns_rr* record) {
  std::string content;
  for (size_t i = 0; i < ldns_rr_rd_count(record); ++i) {
    const ldns_rdf* const field = ldns_rr_rdf(record, i);
    if (ldns_rdf_size(field) < 1) continue;
    content.append(reinterpret_cast<const char*>(ldns_rdf_data(field)) + 1,
                   ldns_rdf_size(field) - 1);
  }
  return content;
}

bool is_same_data(const ldns_rr* a, const ldns_rr* b) {
  if (ldns_rr_get_type(a) != ldns_rr_get_type(b)) return false;
  if (ldns_rr_rd_count(a) != ldns_rr_rd_count(b)) return false;
  for (size_t i = 0; i < ldns_rr_rd_count(a); ++i) {
    if (ldns_rdf_compare(ldns_rr_rdf(a, i), ldns_rr_rdf(b, i)) != 0) return false;
  }
  return true;
}

bool is_same_text(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](unsigned char left, unsigned char right) {
    return std::tolower(left) == std::tolower(right);
  });
}

// Empty where `text` is not how such a record's data is written.
Record record_of(ldns_rr_type type, const std::string& text) {
  const Text name(ldns_rr_type2str(type));
  ldns_rr* record = nullptr;
  const std::string line = fmt::format(". 0 IN {} {}", name ? name.get() : "", text);
  if (ldns_rr_new_frm_str(&record, line.c_str(), 0, nullptr, nullptr) != LDNS_STATUS_OK) return {};
  ldns_rr2canonical(record);  // names in lower case
  return Record(record);
}

}  // namespace

struct DnsQuestion::Impl {
  [[nodiscard]] bool is_asked(const ldns_pkt* packet) const;
  [[nodiscard]] Verdict judge_records(const ldns_rr_list* records) const;
  [[nodiscard]] bool reads_right(ldns_rr* record) const;

  std::vector<uint8_t> message;
  Record question;
  std::optional<unsigned> rcode;
  std::optional<std::string> answer;
  Record wanted;  // the same, where it is a record's data
};

DnsQuestion::DnsQuestion(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
DnsQuestion::DnsQuestion(DnsQuestion&&) noexcept = default;
DnsQuestion& DnsQuestion::operator=(DnsQuestion&&) noexcept = default;
DnsQuestion::~DnsQuestion() = default;

std::expected<DnsQuestion, Error> DnsQuestion::make(const config::CheckDns& check) {
  const auto type = type_of(check.type);
  if (!type) return std::unexpected(type.error());
  auto rcode = rcode_of(check.rcode);
  if (!rcode) return std::unexpected(rcode.error());
  ldns_rdf* const name = ldns_dname_new_frm_str(check.name.c_str());
  if (name == nullptr) {
    return std::unexpected(Error{fmt::format("name {}: not a domain name", check.name)});
  }
  const Packet packet(ldns_pkt_query_new(name, *type, LDNS_RR_CLASS_IN, LDNS_RD));
  uint8_t* bytes = nullptr;
  size_t size = 0;
  if (!packet || ldns_pkt2wire(&bytes, packet.get(), &size) != LDNS_STATUS_OK) {
    return std::unexpected(Error{fmt::format("cannot ask for {} {}", check.name, check.type)});
  }
  auto impl = std::make_unique<Impl>();
  impl->message.assign(bytes, bytes + size);
  std::free(bytes);
  impl->question.reset(ldns_rr_clone(ldns_rr_list_rr(ldns_pkt_question(packet.get()), 0)));
  impl->rcode = *rcode;
  impl->answer = check.answer;
  if (check.answer) impl->wanted = record_of(*type, *check.answer);
  return DnsQuestion(std::move(impl));
}

std::vector<uint8_t> DnsQuestion::message(uint16_t id) const {
  std::vector<uint8_t> message = impl_->message;
  message[0] = static_cast<uint8_t>(id >> 8);
  message[1] = static_cast<uint8_t>(id);
  return message;
}

DnsQuestion::Verdict DnsQuestion::judge(std::span<const uint8_t> message, uint16_t id) const {
  if (message.size() < LDNS_HEADER_SIZE || LDNS_ID_WIRE(message.data()) != id ||
      !LDNS_QR_WIRE(message.data())) {
    return {};
  }
  if (LDNS_TC_WIRE(message.data())) return {Means::truncated, "the answer is truncated"};
  ldns_pkt* read = nullptr;
  const ldns_status status = ldns_wire2pkt(&read, message.data(), message.size());
  const Packet packet(status == LDNS_STATUS_OK ? read : nullptr);
  if (!packet) {
    return {Means::wrong,
            fmt::format("the answer cannot be read: {}", ldns_get_errorstr_by_id(status))};
  }
  if (!impl_->is_asked(packet.get())) return {};
  const unsigned rcode = ldns_pkt_get_rcode(packet.get());
  if (impl_->rcode && rcode != *impl_->rcode) {
    return {Means::wrong,
            fmt::format("rcode {}, expected {}", rcode_text(rcode), rcode_text(*impl_->rcode))};
  }
  if (impl_->answer) return impl_->judge_records(ldns_pkt_answer(packet.get()));
  return {Means::right, fmt::format("rcode {}", rcode_text(rcode))};
}

// Servers that refuse may leave the question out.
bool DnsQuestion::Impl::is_asked(const ldns_pkt* packet) const {
  const ldns_rr_list* const questions = ldns_pkt_question(packet);
  if (ldns_rr_list_rr_count(questions) == 0) {
    return ldns_pkt_get_rcode(packet) != LDNS_RCODE_NOERROR;
  }
  const ldns_rr* const asked = ldns_rr_list_rr(questions, 0);
  return ldns_rr_get_type(asked) == ldns_rr_get_type(question.get()) &&
         ldns_rr_get_class(asked) == ldns_rr_get_class(question.get()) &&
         ldns_dname_compare(ldns_rr_owner(asked), ldns_rr_owner(question.get())) == 0;
}

DnsQuestion::Verdict DnsQuestion::Impl::judge_records(const ldns_rr_list* records) const {
  constexpr size_t most_told = 3;
  std::string told;
  for (size_t i = 0; i < ldns_rr_list_rr_count(records); ++i) {
    ldns_rr* const record = ldns_rr_list_rr(records, i);
    if (reads_right(record)) return {Means::right, fmt::format("the answer has {}", *answer)};
    if (i < most_told) told += fmt::format("{}{}", i > 0 ? ", " : "", data_text(record));
    if (i == most_told) told += ", ...";
  }
  return {Means::wrong,
          fmt::format("no record reads {}; there is {}", *answer, told.empty() ? "none" : told)};
}

bool DnsQuestion::Impl::reads_right(ldns_rr* record) const {
  if (is_same_text(data_text(record), *answer)) return true;
  if (ldns_rr_get_type(record) == LDNS_RR_TYPE_TXT && txt_content(record) == *answer) return true;
  ldns_rr2canonical(record);
  return wanted && is_same_data(record, wanted.get());
}

}  // namespace headgate::control
