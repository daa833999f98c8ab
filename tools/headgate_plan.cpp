#include "tools/headgate_plan.h"

#include <array>
#include <string>
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

// "+1 -2 ~3": backends that come, go and change.
std::string backends_text(const json::object& row) {
  std::string text;
  for (const auto& [sign, key] :
       {std::pair{'+', "backends_added"}, std::pair{'-', "backends_removed"},
        std::pair{'~', "backends_changed"}}) {
    const uint64_t count = number_of(row, key);
    if (count > 0) text += fmt::format("{}{}{}", text.empty() ? "" : " ", sign, count);
  }
  return text.empty() ? "-" : text;
}

// What becomes of the connections that move.
std::string fate_text(const json::object& row) {
  std::string text;
  if (number_of(row, "moved_removed") + number_of(row, "moved_disabled") > 0) {
    const std::string on_removed = text_of(row, "on_backend_removed");
    const json::value* ends = row.if_contains("ends_within_s");
    if (on_removed == "expire") {
      text = "ended at once";
    } else if (on_removed == "drop") {
      text = "forwarded no more";
    } else if (ends == nullptr || ends->is_null()) {
      text = "run to their end";
    } else {
      text = fmt::format("ended within {}", duration_text(number_of(row, "ends_within_s")));
    }
  }
  if (number_of(row, "moved_mode") > 0) {
    text += fmt::format("{}{} keep their old mode", text.empty() ? "" : ", ",
                        number_of(row, "moved_mode"));
  }
  return text.empty() ? "-" : text;
}

std::string share_text(const json::object& row) {
  const json::value* share = row.if_contains("hash_share");
  if (share == nullptr || !share->is_number()) return "-";
  return fmt::format("{:.1f} %", 100 * share->to_number<double>());
}

std::string lines_of(const json::object& result, std::string_view key, std::string_view before) {
  std::string text;
  const json::value* lines = result.if_contains(key);
  if (lines == nullptr || !lines->is_array()) return text;
  for (const json::value& line : lines->get_array()) {
    if (line.is_string()) text += fmt::format("{}{}\n", before, line.get_string().c_str());
  }
  return text;
}

class PlanRenderer final : public Renderer {
 public:
  explicit PlanRenderer(Format format) : format_(format) {}

  std::string rows(const json::array& rows) override {
    for (const json::value& value : rows) {
      if (value.is_object()) add(value.get_object());
    }
    return {};
  }

  std::string end(const Status& status) override {
    if (status.code != Code::ok) return {};
    std::string text = status.message + "\n";
    if (!table_.empty()) text.append("\n").append(table_.take());
    const std::string changes = lines_of(status.result, "changes", "  ");
    if (!changes.empty()) text.append("\n").append(changes);
    if (const json::value* found = status.result.if_contains("by_commands")) {
      const std::string done = lines_of(found->as_object(), "changes", "  ");
      if (!done.empty()) text.append("\nby commands since the file was last read:\n").append(done);
    }
    return text + lines_of(status.result, "warnings", "");
  }

 private:
  void add(const json::object& row) {
    const auto count = [&](std::string_view key) {
      return count_text(number_of(row, key), format_.exact);
    };
    const std::string name = text_of(row, "name");
    table_.add({text_of(row, "service"), name.empty() ? "-" : name, text_of(row, "change"),
                backends_text(row), count("connections"), count("moved"), fate_text(row),
                share_text(row)});
  }

  Format format_;
  Table table_{{{"SERVICE", Align::left},
                {"NAME", Align::left},
                {"CHANGE", Align::left},
                {"BACKENDS", Align::left},
                {"LIVE", Align::right},
                {"MOVED", Align::right},
                {"MOVED ONES", Align::left},
                {"HASH SPACE", Align::right}}};
};

}  // namespace

std::unique_ptr<Renderer> make_plan_renderer(Format format) {
  return std::make_unique<PlanRenderer>(format);
}

}  // namespace headgate::cli
