#include "tools/headgate_vrrp.h"

#include <utility>
#include <vector>

#include <fmt/format.h>

#include "tools/headgate_columns.h"
#include "tools/headgate_table.h"

namespace headgate::cli {

namespace json = boost::json;
using control::protocol::Code;
using control::protocol::Status;

namespace {

// A list of texts, or of objects' texts under `key`.
std::vector<std::string> texts_of(const json::object& row, std::string_view key) {
  std::vector<std::string> texts;
  const json::value* value = row.if_contains(key);
  if (value == nullptr || !value->is_array()) return texts;
  for (const json::value& element : value->get_array()) {
    if (element.is_string()) texts.emplace_back(element.as_string().c_str());
  }
  return texts;
}

std::string joined(const std::vector<std::string>& texts) {
  std::string result;
  for (const std::string& text : texts)
    result += (result.empty() ? "" : ", ") + text;
  return result;
}

const json::object& object_in(const json::object& row, std::string_view key) {
  static const json::object nothing;
  const json::value* value = row.if_contains(key);
  return value != nullptr && value->is_object() ? value->get_object() : nothing;
}

bool is_true(const json::object& row, std::string_view key) {
  const json::value* value = row.if_contains(key);
  return value != nullptr && value->is_bool() && value->get_bool();
}

// Without the line of empty headings.
std::string without_headings(Table& table) {
  const std::string text = table.take();
  return text.substr(text.find('\n') + 1);
}

// Lines of a name and what it is, below the virtual router's own.
class Details {
 public:
  Details(const json::object& row, bool exact)
      : row_(&row), exact_(exact), table_({{"", Align::left}, {"", Align::left}}) {}

  void line(std::string name, std::string value) {
    table_.add({"  " + std::move(name), std::move(value)});
  }
  [[nodiscard]] std::string count(std::string_view key) const {
    return count_text(number_of(*row_, key), exact_);
  }
  [[nodiscard]] std::string take() { return without_headings(table_); }

 private:
  const json::object* row_;
  bool exact_;
  Table table_;
};

std::string first_line(const json::object& row) {
  const std::string reason = text_of(row, "reason");
  return fmt::format("{}: {} for {}{}\n", text_of(row, "name"), text_of(row, "state"),
                     duration_text(number_of(row, "in_state_s")),
                     reason.empty() ? "" : fmt::format(" ({})", reason));
}

std::string mismatch_text(const json::object& row) {
  const json::object& mismatch = object_in(row, "mismatch");
  std::vector<std::string> what;
  if (is_true(mismatch, "addresses")) what.emplace_back("addresses");
  if (is_true(mismatch, "interval")) what.emplace_back("interval");
  return joined(what);
}

void add_settings(const json::object& row, Details& details) {
  for (const std::string& fault : texts_of(row, "faults"))
    details.line("fault", fault);
  details.line("interface",
               fmt::format("{}, {}, virtual router {}, version {}", text_of(row, "interface"),
                           text_of(row, "family"), number_of(row, "virtual_router_id"),
                           number_of(row, "version")));
  details.line("priority", fmt::format("{}, configured {}", number_of(row, "priority"),
                                       number_of(row, "base_priority")));
  const std::string master = text_of(row, "master");
  details.line("master", master.empty() ? "none was heard"
                                        : fmt::format("{}, priority {}", master,
                                                      number_of(row, "master_priority")));
  details.line("interval", fmt::format("{} ms", number_of(row, "interval_ms")));
  const std::vector<std::string> peers = texts_of(row, "peers");
  details.line("peers", peers.empty() ? "by multicast" : joined(peers));
  const std::string group = text_of(row, "group");
  if (!group.empty()) details.line("sync group", group);
  const std::string mismatch = mismatch_text(row);
  if (!mismatch.empty()) details.line("mismatch", mismatch + " differ from the master's");
}

void add_counts(Details& details) {
  details.line("transitions", fmt::format("{}, {} of them to master", details.count("transitions"),
                                          details.count("became_master")));
  details.line("adverts sent",
               fmt::format("{}, {} of them with priority 0", details.count("adverts_sent"),
                           details.count("priority_zero_sent")));
  details.line("adverts received",
               fmt::format("{}, {} of them with priority 0", details.count("adverts_received"),
                           details.count("priority_zero_received")));
  details.line("late adverts",
               fmt::format("{}, the worst {} us late", details.count("late_adverts"),
                           details.count("worst_lateness_us")));
  details.line("discarded", details.count("discarded"));
}

std::string discards_table(const json::object& row, bool exact) {
  const json::object& discards = object_in(row, "discards");
  if (discards.empty()) return {};
  Table table({{"DISCARDED FOR", Align::left}, {"ADVERTS", Align::right}});
  for (const auto& [reason, count] : discards)
    table.add({std::string(reason), count_text(number_of(discards, reason), exact)});
  return fmt::format("\n{}", table.take());
}

std::string addresses_table(const json::object& row) {
  const json::value* value = row.if_contains("addresses");
  if (value == nullptr || !value->is_array() || value->get_array().empty()) return {};
  Table table({{"ADDRESS", Align::left},
               {"INTERFACE", Align::left},
               {"ADVERTISED", Align::left},
               {"HELD", Align::left}});
  for (const json::value& element : value->get_array()) {
    if (!element.is_object()) continue;
    const json::object& address = element.get_object();
    table.add({text_of(address, "address"), text_of(address, "interface"),
               is_true(address, "advertised") ? "yes" : "no",
               is_true(address, "held") ? "yes" : "no"});
  }
  return fmt::format("\n{}", table.take());
}

std::string groups_table(const Status& status) {
  const json::value* value = status.result.if_contains("groups");
  if (value == nullptr || !value->is_array() || value->get_array().empty()) return {};
  Table table({{"SYNC GROUP", Align::left}, {"STATE", Align::left}, {"MEMBERS", Align::left}});
  for (const json::value& element : value->get_array()) {
    if (!element.is_object()) continue;
    const json::object& group = element.get_object();
    table.add(
        {text_of(group, "name"), text_of(group, "state"), joined(texts_of(group, "members"))});
  }
  return fmt::format("\n{}", table.take());
}

class VrrpRenderer final : public Renderer {
 public:
  explicit VrrpRenderer(Format format) : format_(format) {}

  std::string rows(const json::array& rows) override {
    for (const json::value& row : rows) {
      if (row.is_object()) rows_.push_back(row.get_object());
    }
    return {};
  }

  std::string end(const Status& status) override {
    if (status.code != Code::ok) return {};
    std::string text = format_.detail ? all_details() : table();
    text += groups_table(status);
    if (is_true(status.result, "maintenance")) {
      text += "\nmaintenance is on: no virtual router becomes master until it is off\n";
    }
    return text;
  }

 private:
  [[nodiscard]] std::string table() const {
    const ListLayout* layout = find_layout("show vrrp");
    if (layout == nullptr) return {};
    if (rows_.empty()) return fmt::format("{}\n", layout->nothing);
    std::vector<Column> headings;
    for (const ListColumn& column : layout->columns) {
      headings.push_back(
          {std::string(column.heading), column.kind == Kind::text ? Align::left : Align::right});
    }
    Table table(std::move(headings));
    for (const json::object& row : rows_) {
      std::vector<std::string> cells;
      for (const ListColumn& column : layout->columns)
        cells.push_back(cell_text(column, row, format_.exact));
      table.add(std::move(cells));
    }
    return table.take();
  }

  [[nodiscard]] std::string all_details() const {
    std::string text;
    for (const json::object& row : rows_) {
      Details details(row, format_.exact);
      add_settings(row, details);
      add_counts(details);
      if (!text.empty()) text += "\n";
      text += first_line(row) + details.take() + addresses_table(row) +
              discards_table(row, format_.exact);
    }
    return text;
  }

  Format format_;
  std::vector<json::object> rows_;
};

}  // namespace

std::unique_ptr<Renderer> make_vrrp_renderer(Format format) {
  return std::make_unique<VrrpRenderer>(format);
}

}  // namespace headgate::cli
