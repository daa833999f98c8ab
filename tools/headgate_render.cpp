#include "tools/headgate_render.h"

#include <cstdlib>
#include <vector>

#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "tools/headgate_columns.h"
#include "tools/headgate_plan.h"
#include "tools/headgate_table.h"
#include "tools/headgate_vrrp.h"

namespace headgate::cli {

namespace json = boost::json;
using control::protocol::Code;
using control::protocol::Status;

namespace {

// One JSON object, written while it arrives: {"rows": [...], "code": 0, "message": "", ...result}.
class JsonRenderer final : public Renderer {
 public:
  std::string rows(const json::array& rows) override {
    std::string text = opening();
    for (const json::value& row : rows) {
      text += any_ ? ",\n  " : "\n  ";
      text += json::serialize(row);
      any_ = true;
    }
    return text;
  }

  std::string end(const Status& status) override {
    std::string text = opening();
    text += any_ ? "\n],\n" : "],\n";
    text += fmt::format(
        "\"code\": {},\n\"message\": {},\n\"result\": {}}}\n", static_cast<int>(status.code),
        json::serialize(json::string(status.message)), json::serialize(status.result));
    return text;
  }

 private:
  std::string opening() {
    if (opened_) return {};
    opened_ = true;
    return "{\"rows\": [";
  }

  bool opened_ = false;
  bool any_ = false;
};

class ListRenderer final : public Renderer {
 public:
  ListRenderer(const ListLayout& layout, Format format)
      : layout_(&layout), format_(format), table_(headings(layout)), sums_(layout.columns.size()) {}

  std::string rows(const json::array& rows) override {
    for (const json::value& value : rows) {
      if (!value.is_object()) continue;
      add(value.as_object());
    }
    return layout_->in_pieces && !table_.empty() ? table_.take() : "";
  }

  std::string end(const Status& status) override {
    if (status.code != Code::ok) return {};
    std::string text;
    if (count_ == 0) text += fmt::format("{}\n", layout_->nothing);
    if (count_ > 1 && !layout_->in_pieces) add_total();
    if (!table_.empty()) text += table_.take();
    if (!status.message.empty()) text += status.message + "\n";
    return text;
  }

 private:
  static std::vector<Column> headings(const ListLayout& layout) {
    std::vector<Column> columns;
    for (const ListColumn& column : layout.columns) {
      columns.push_back(
          {std::string(column.heading), column.kind == Kind::text ? Align::left : Align::right});
    }
    return columns;
  }

  void add(const json::object& row) {
    std::vector<std::string> cells;
    for (size_t i = 0; i < layout_->columns.size(); ++i) {
      const ListColumn& column = layout_->columns[i];
      cells.push_back(cell_text(column, row, format_.exact));
      sums_[i].first += number_of(row, column.key);
      if (!column.of_key.empty()) sums_[i].second += number_of(row, column.of_key);
    }
    table_.add(std::move(cells));
    ++count_;
  }

  void add_total() {
    json::object total;
    std::vector<std::string> cells;
    bool any = false;
    for (size_t i = 0; i < layout_->columns.size(); ++i) {
      const ListColumn& column = layout_->columns[i];
      total[column.key] = sums_[i].first;
      if (!column.of_key.empty()) total[column.of_key] = sums_[i].second;
      cells.push_back(column.summed ? cell_text(column, total, format_.exact) : "");
      any = any || column.summed;
    }
    cells[0] = "total";
    if (any) table_.set_total(std::move(cells));
  }

  const ListLayout* layout_;
  Format format_;
  Table table_;
  std::vector<std::pair<uint64_t, uint64_t>> sums_;
  size_t count_ = 0;
};

// Rows that are pieces of one text.
class TextRenderer final : public Renderer {
 public:
  std::string rows(const json::array& rows) override {
    std::string text;
    for (const json::value& piece : rows) {
      if (piece.is_string()) text += std::string_view(piece.as_string());
    }
    return text;
  }
  std::string end(const Status& /*status*/) override { return {}; }
};

// A reply without rows: `print` turns the result into text.
class ResultRenderer final : public Renderer {
 public:
  using Print = std::string (*)(const Status&, Format);
  ResultRenderer(Print print, Format format) : print_(print), format_(format) {}

  std::string rows(const json::array& /*rows*/) override { return {}; }
  std::string end(const Status& status) override {
    return status.code == Code::ok ? print_(status, format_) : std::string{};
  }

 private:
  Print print_;
  Format format_;
};

// "no local port: 5" for each number of `values`.
std::string details(const json::object& values, Format format) {
  Table table({{"", Align::left}, {"", Align::right}});
  for (const auto& [key, value] : values) {
    std::string name(key);
    for (char& c : name) {
      if (c == '_') c = ' ';
    }
    const std::string text = value.is_string() ? std::string(value.as_string().c_str())
                                               : count_text(number_of(values, key), format.exact);
    table.add({name, text});
  }
  const std::string text = table.take();
  return text.substr(text.find('\n') + 1);  // the empty headings
}

const json::object& object_of(const json::object& parent, std::string_view key) {
  static const json::object nothing;
  const json::value* value = parent.if_contains(key);
  return value != nullptr && value->is_object() ? value->as_object() : nothing;
}

const json::array& array_of(const json::object& parent, std::string_view key) {
  static const json::array nothing;
  const json::value* value = parent.if_contains(key);
  return value != nullptr && value->is_array() ? value->as_array() : nothing;
}

// Both sides of the sum rule next to each other.
std::string sum_rule(const json::object& in, const json::object& out, Format format) {
  Table table({{"PACKETS IN", Align::left},
               {"COUNT", Align::right},
               {"PACKETS OUT", Align::left},
               {"COUNT", Align::right}});
  uint64_t in_sum = 0;
  uint64_t out_sum = 0;
  const auto cell = [&](const json::object& side, std::string_view key, uint64_t& sum) {
    sum += number_of(side, key);
    return count_text(number_of(side, key), format.exact);
  };
  const auto pair = [&](const char* in_name, const char* in_key, const char* out_name,
                        const char* out_key) {
    table.add({in_name, cell(in, in_key, in_sum), out_name, cell(out, out_key, out_sum)});
  };
  pair("received from ports", "received", "sent", "sent");
  pair("from the twins", "from_twin", "to the twins", "to_twin");
  pair("originated", "originated", "dropped", "dropped");
  pair("released after waiting", "released", "held for a neighbour", "held");
  table.set_total(
      {"sum", count_text(in_sum, format.exact), "sum", count_text(out_sum, format.exact)});
  std::string text = table.take();
  if (in_sum != out_sum) {
    const auto difference = static_cast<int64_t>(in_sum - out_sum);
    text += fmt::format("difference {:+}: packets under way while the counters were read\n",
                        difference);
  }
  return text;
}

std::string print_stats(const Status& status, Format format) {
  std::string text =
      sum_rule(object_of(status.result, "in"), object_of(status.result, "out"), format);
  Table table({{"VERDICT", Align::left}, {"PACKETS", Align::right}, {"MEANING", Align::left}});
  for (const json::value& value : array_of(status.result, "verdicts")) {
    if (!value.is_object()) continue;
    const json::object& row = value.as_object();
    table.add({text_of(row, "verdict"), count_text(number_of(row, "count"), format.exact),
               text_of(row, "description")});
  }
  if (!table.empty()) text.append("\n").append(table.take());
  const json::object& more = object_of(status.result, "details");
  if (!more.empty()) text.append("\n").append(details(more, format));
  return text;
}

std::string print_timeouts(const Status& status, Format /*format*/) {
  Table table({{"TIME-OUT", Align::left}, {"AFTER", Align::right}});
  for (const auto& [key, value] : object_of(status.result, "timeouts")) {
    std::string name(key);
    if (name.ends_with("_s")) name.resize(name.size() - 2);
    table.add({name, duration_text(number_of(object_of(status.result, "timeouts"), key))});
  }
  std::string text = table.take();
  if (!status.message.empty()) text = fmt::format("{}\n{}", status.message, text);
  return text;
}

std::string print_version(const Status& status, Format /*format*/) {
  return fmt::format("headgate {}\nheadgated {}, DPDK {}, process {}, up {}\n", HEADGATE_VERSION,
                     text_of(status.result, "version"), text_of(status.result, "dpdk"),
                     number_of(status.result, "pid"),
                     duration_text(number_of(status.result, "uptime_s")));
}

// What a change did: the daemon's sentence, then a line each change and each warning.
std::string print_change(const Status& status, Format /*format*/) {
  std::string text;
  if (!status.message.empty()) text += status.message + "\n";
  for (const json::value& line : array_of(status.result, "changes")) {
    if (line.is_string()) text += fmt::format("  {}\n", line.as_string().c_str());
  }
  for (const json::value& line : array_of(status.result, "warnings")) {
    if (!line.is_string()) continue;
    // What comes from a file has the word behind its place: FILE:LINE:COLUMN: warning: ...
    const std::string_view warning = line.as_string();
    const bool says_so = warning.find("warning: ") != std::string_view::npos;
    text += fmt::format("{}{}\n", says_so ? "" : "warning: ", warning);
  }
  return text;
}

}  // namespace

std::unique_ptr<Renderer> make_renderer(std::string_view command, Format format) {
  if (format.json) return std::make_unique<JsonRenderer>();
  if (command == "show vrrp") return make_vrrp_renderer(format);
  if (command == "plan") return make_plan_renderer(format);
  if (const ListLayout* layout = find_layout(command, format.rates)) {
    return std::make_unique<ListRenderer>(*layout, format);
  }
  if (command == "show config") return std::make_unique<TextRenderer>();
  ResultRenderer::Print print = print_change;
  if (command == "show stats") print = print_stats;
  if (command == "version") print = print_version;
  if (command == "timeouts" || command == "timeouts set") print = print_timeouts;
  return std::make_unique<ResultRenderer>(print, format);
}

}  // namespace headgate::cli
