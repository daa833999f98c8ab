// docs/keepalived-keywords.md against the tables of config/keepalived.
#include <array>
#include <regex>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "tests/unit/config/support.h"

namespace headgate::config {
namespace {

std::set<std::string> found_in(const std::string& text, const std::string& pattern) {
  const std::regex expression(pattern, std::regex::ECMAScript | std::regex::multiline);
  std::set<std::string> result;
  for (std::sregex_iterator at(text.begin(), text.end(), expression), end; at != end; ++at)
    result.insert((*at)[1]);
  return result;
}

std::string tables() {
  std::string result;
  for (const char* name : {"checks", "convert", "globals", "ports", "real_server", "virtual_server",
                           "vrrp", "vrrp_instance"}) {
    result += source_file(std::string("config/keepalived/") + name + ".cpp");
  }
  return result;
}

TEST(KeepalivedKeywords, TheDocumentHasEveryKeywordOfTheTables) {
  const std::string document = source_file("docs/keepalived-keywords.md");
  const std::set<std::string> keywords = found_in(tables(), R"-(^\s*\{"([a-z][A-Za-z0-9_-]+)",)-");
  EXPECT_GE(keywords.size(), 250U);
  for (const std::string& keyword : keywords) {
    EXPECT_NE(document.find("| `" + keyword + "`"), std::string::npos) << keyword;
  }
}

TEST(KeepalivedKeywords, TheDocumentHasNoKeywordThatIsNotRead) {
  const std::string document = source_file("docs/keepalived-keywords.md");
  const std::string code = tables();
  const std::set<std::string> keywords = found_in(document, R"(^\| `([a-z][A-Za-z0-9_-]+)`)");
  EXPECT_GE(keywords.size(), 250U);
  for (const std::string& keyword : keywords) {
    if (keyword == "include") continue;
    EXPECT_NE(code.find("\"" + keyword + "\""), std::string::npos) << keyword;
  }
}

}  // namespace
}  // namespace headgate::config
