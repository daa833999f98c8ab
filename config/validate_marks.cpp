// The rules of firewall marks, and that marks, rules and services go together.
#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "config/limits.h"
#include "config/names.h"
#include "config/report.h"

namespace headgate::config {
namespace {

// A mark and the family of the packets that bear it.
using Marked = std::pair<uint32_t, net::Family>;

void check_rule(const MarkRule& rule, const std::string& path, Report& report) {
  if (rule.mark == 0) report.error(path + ".mark", "is missing: the mark that packets get");
  const net::Family family = rule.destination.address.family;
  if (family == net::Family::none) {
    report.error(path + ".destination", "is missing: the addresses whose packets are marked");
  } else if (rule.source && rule.source->address.family != family) {
    report.error(path + ".source",
                 fmt::format("is {}, and the destination {}", name_of(rule.source->address.family),
                             name_of(family)),
                 {path + ".destination"});
  }
}

}  // namespace

void check_marks(const Config& config, Report& report) {
  std::set<Marked> wanted;
  for (const Service& service : config.services) {
    if (service.firewall_mark) wanted.emplace(*service.firewall_mark, family_of(service));
  }
  std::set<Marked> given;
  size_t count = 0;
  for (size_t i = 0; i < config.firewall_marks.size(); ++i) {
    const MarkRule& rule = config.firewall_marks[i];
    const std::string path = fmt::format("firewall_marks[{}]", i);
    check_rule(rule, path, report);
    count += std::max<size_t>(rule.ports.size(), 1);
    const Marked marked{rule.mark, rule.destination.address.family};
    given.insert(marked);
    if (wanted.contains(marked) || rule.mark == 0 || marked.second == net::Family::none) continue;
    report.warning(path + ".mark",
                   fmt::format("no service has the mark {} for {}: these packets are treated as if "
                               "they had none",
                               rule.mark, name_of(marked.second)),
                   {"services"});
  }
  if (count > max_mark_rules) {
    report.error("firewall_marks", fmt::format("{} rules, each range of ports counted, and there "
                                               "can be {}",
                                               count, max_mark_rules));
  }
  for (size_t i = 0; i < config.services.size(); ++i) {
    const Service& service = config.services[i];
    if (!service.firewall_mark) continue;
    if (given.contains({*service.firewall_mark, family_of(service)})) continue;
    report.warning(fmt::format("services[{}].firewall_mark", i),
                   fmt::format("no rule of `firewall_marks` gives {} packets the mark {}: the "
                               "service gets none",
                               name_of(family_of(service)), *service.firewall_mark),
                   {"firewall_marks"});
  }
}

}  // namespace headgate::config
