// The rules of a list of health checks: what each has to itself, and with whom it asks.
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "config/health_codecs.h"
#include "config/health_rules.h"
#include "config/limits.h"
#include "config/names.h"
#include "config/text.h"
#include "config/vrrp_rules.h"

namespace headgate::config {
namespace {

using net::Family;

// Those of its kind ask a port of TCP or UDP.
bool asks_port(CheckType type) {
  return type != CheckType::ping && type != CheckType::script;
}

class CheckChecker {
 public:
  CheckChecker(const Check& check, std::string path, const Service& service,
               const std::string& service_path, const Asked& asked, HealthWorld& world,
               Report& report)
      : check_(check),
        path_(std::move(path)),
        service_(service),
        service_path_(service_path),
        asked_(asked),
        world_(world),
        report_(report) {}

  void check() {
    check_sections();
    check_port();
    check_data_path();
    check_source();
    check_interface();
    switch (check_.type) {
      case CheckType::http:
      case CheckType::https:
        return check_http();
      case CheckType::udp:
        return check_udp();
      case CheckType::dns:
        return check_dns();
      case CheckType::script:
        return check_script();
      case CheckType::tcp:
      case CheckType::smtp:
      case CheckType::ping:
        return;
    }
  }

 private:
  [[nodiscard]] std::string at(std::string_view key) const {
    return fmt::format("{}.{}", path_, key);
  }

  // Sections of other types than the check's would be overlooked in silence.
  void check_sections() {
    const auto only = [&](bool as_default, std::string_view key, bool fits, std::string_view who) {
      if (as_default || fits) return;
      report_.error(at(key),
                    fmt::format("belongs to checks of type {}, and this one is of type {}", who,
                                name_of(check_.type)),
                    {at("type")});
    };
    const CheckType type = check_.type;
    only(check_.http == CheckHttp{}, "http", type == CheckType::http || type == CheckType::https,
         "http and https");
    only(check_.udp == CheckUdp{}, "udp", type == CheckType::udp, "udp");
    only(check_.dns == CheckDns{}, "dns", type == CheckType::dns, "dns");
    only(check_.smtp == CheckSmtp{}, "smtp", type == CheckType::smtp, "smtp");
    only(check_.script == CheckScript{}, "script", type == CheckType::script, "script");
  }

  void check_port() {
    if (!asks_port(check_.type) && check_.source_port) {
      no_effect("source_port", "it is for checks that ask a port");
    }
    if (check_.type == CheckType::ping && check_.port) no_effect("port", "ping knows no ports");
    if (check_.port || !asks_port(check_.type) || !asked_.portless) return;
    report_.error(at("port"),
                  fmt::format("is missing: {} has none that could be asked, as the service takes "
                              "packets of several; write the port",
                              asked_.portless->who),
                  {service_path_ + ".port", service_path_ + ".firewall_mark",
                   asked_.portless->path + ".port", at("type")});
  }

  void check_data_path() {
    if (!check_.data_path) return;
    const std::string path = at("data_path");
    if (!asks_port(check_.type)) {
      report_.error(path,
                    fmt::format("goes with checks that ask a port of TCP or UDP, and this one is "
                                "of type {}",
                                name_of(check_.type)),
                    {at("type")});
      return;
    }
    if (service_.firewall_mark) {
      report_.error(path, "asks the service's address, and a service of a firewall mark has none",
                    {service_path_ + ".firewall_mark"});
    } else if (asked_.translated) {
      report_.error(path,
                    fmt::format("is for dr and ipip, and {} is in nat or fullnat mode, where "
                                "ordinary checks go the way of the clients' packets already",
                                asked_.translated->who),
                    {asked_.translated->path + ".mode", service_path_ + ".mode"});
    }
    if (check_.address) {
      report_.error(at("address"),
                    "`data_path` asks the service's own address: remove one of the two");
    }
  }

  // A socket has addresses of one family.
  void check_source() {
    if (!check_.source || check_.type == CheckType::script) return;
    const Family family = check_.source->family;
    const auto differs = [&](const net::IpAddress& target, const std::string& cause) {
      if (family == Family::none || target.family == Family::none || target.family == family)
        return;
      report_.error(
          at("source"),
          fmt::format("{} is {}, and {}, which is asked, is {}", net::to_string(*check_.source),
                      name_of(family), net::to_string(target), name_of(target.family)),
          {cause, at("data_path")});
    };
    if (check_.data_path) {
      differs(service_.address, service_path_ + ".address");
    } else if (check_.address) {
      differs(*check_.address, at("address"));
    } else {
      const auto& other = family == Family::ipv4 ? asked_.ipv6 : asked_.ipv4;
      if (other) differs(other->address, other->path + ".address");
    }
  }

  void check_interface() {
    if (check_.type == CheckType::script) {
      constexpr std::string_view why = "a script knows itself whom to ask, and how";
      if (check_.address) no_effect("address", why);
      if (check_.port) no_effect("port", why);
      if (check_.source) no_effect("source", why);
      if (check_.interface) no_effect("interface", why);
      if (check_.mark) no_effect("mark", why);
      return;
    }
    if (!check_.interface) return;
    const std::string& name = *check_.interface;
    if (const auto port = world_.beneath.find(name); port != world_.beneath.end()) {
      report_.error(at("interface"),
                    fmt::format("{} is beneath port {}, which takes its packets: write the name of "
                                "the port's twin",
                                name, port->second),
                    {"ports"});
    } else if (world_.sideless.contains(name)) {
      report_.error(at("interface"),
                    fmt::format("port {} has no interface of the kernel, by `twin: none`", name),
                    {"ports"});
    }
  }

  void check_http() {
    const CheckHttp& http = check_.http;
    if (check_.type == CheckType::http) {
      const auto https_only = [&](bool given, std::string_view key) {
        if (given)
          report_.error(at(key), "is for https, and this check is of type http", {at("type")});
      };
      https_only(http.server_name.has_value(), "http.server_name");
      https_only(http.verify, "http.verify");
      https_only(http.ca_file.has_value(), "http.ca_file");
    } else if (http.ca_file && !http.verify) {
      report_.warning(at("http.ca_file"), "has no effect: `verify` is off", {at("http.verify")});
    }
    if (http.urls.size() > max_check_urls) {
      report_.error(at("http.urls"), fmt::format("{} pages, and a check may ask for {}",
                                                 http.urls.size(), max_check_urls));
    }
    for (size_t i = 0; i < http.urls.size(); ++i)
      check_url(http.urls[i], i);
  }

  void check_url(const CheckUrl& url, size_t index) {
    const auto of_url = [&](std::string_view key) {
      return fmt::format("{}.http.urls[{}].{}", path_, index, key);
    };
    if (url.status.size() > max_status_ranges) {
      report_.error(of_url("status"), fmt::format("{} codes and ranges, and there can be {}",
                                                  url.status.size(), max_status_ranges));
    }
    if (url.regex_absent && !url.regex) {
      report_.error(of_url("regex_absent"), "has no meaning without `regex`", {of_url("regex")});
    }
    if (!url.regex || url.regex->empty()) return;
    const auto [known, fresh] = world_.regexes.try_emplace(*url.regex);
    if (fresh) known->second = regex_problem(*url.regex);
    if (!known->second.empty()) report_.error(of_url("regex"), known->second);
  }

  void check_udp() {
    const CheckUdp& udp = check_.udp;
    if (udp.min_reply_bytes > udp.max_reply_bytes) {
      report_.error(
          at("udp.min_reply_bytes"),
          fmt::format("{} is above max_reply_bytes, {}", udp.min_reply_bytes, udp.max_reply_bytes),
          {at("udp.max_reply_bytes")});
    }
    if (udp.expect && payload_bytes(*udp.expect) > udp.max_reply_bytes) {
      report_.error(at("udp.expect"),
                    fmt::format("has {} bytes, and with `max_reply_bytes` a reply has {} at most",
                                payload_bytes(*udp.expect), udp.max_reply_bytes),
                    {at("udp.max_reply_bytes")});
    }
  }

  void check_dns() {
    const CheckDns& dns = check_.dns;
    if (!dns.answer) return;
    if (dns.rcode != "NOERROR" && dns.rcode != "any") {
      report_.error(at("dns.answer"),
                    fmt::format("cannot be had with {}: such a reply holds no record", dns.rcode),
                    {at("dns.rcode")});
    }
    const auto address = net::parse_ip(*dns.answer);
    const bool good = dns.type == "A"      ? address && address->is_v4()
                      : dns.type == "AAAA" ? address && address->is_v6()
                                           : true;
    if (!good) {
      report_.error(
          at("dns.answer"),
          fmt::format("{} is not an {} address, which is what a record of type {} holds",
                      in_quotes(*dns.answer), dns.type == "A" ? "IPv4" : "IPv6", dns.type),
          {at("dns.type")});
    }
  }

  void check_script() {
    const CheckScript& script = check_.script;
    if (script.command) {
      check_command(*script.command, script.shell, at("script.command"), report_);
    } else {
      report_.error(at("script.command"), "is missing: the program that tells up from down",
                    {at("script")});
    }
  }

  void no_effect(std::string_view key, std::string_view why) {
    report_.warning(at(key), fmt::format("has no effect: {}", why), {at("type")});
  }

  const Check& check_;
  const std::string path_;
  const Service& service_;
  const std::string& service_path_;
  const Asked& asked_;
  HealthWorld& world_;
  Report& report_;
};

// One weight comes from one script.
void check_weights(const std::vector<Check>& checks, const std::string& path, Report& report) {
  const auto sets_weight = [](const Check& check) {
    return check.type == CheckType::script && check.script.dynamic_weight;
  };
  const auto first = std::ranges::find_if(checks, sets_weight);
  for (size_t i = 0; i < checks.size(); ++i) {
    if (!sets_weight(checks[i]) || &checks[i] == &*first) continue;
    report.error(fmt::format("{}.checks[{}].script.dynamic_weight", path, i),
                 fmt::format("checks[{}] sets the weight already: one script of a backend can",
                             first - checks.begin()));
  }
}

}  // namespace

void check_list(const std::vector<Check>& checks, const std::string& path, const Service& service,
                const std::string& service_path, const Asked& asked, HealthWorld& world,
                Report& report) {
  if (checks.size() > max_checks) {
    report.error(path + ".checks",
                 fmt::format("{} checks, and a backend can have {}", checks.size(), max_checks));
    return;
  }
  for (size_t i = 0; i < checks.size(); ++i) {
    const auto same = std::ranges::find(checks, checks[i]);
    std::string at = fmt::format("{}.checks[{}]", path, i);
    if (const auto other = static_cast<size_t>(same - checks.begin()); other < i) {
      report.warning(at, fmt::format("is checks[{}] once more", other));
    }
    CheckChecker(checks[i], std::move(at), service, service_path, asked, world, report).check();
  }
  check_weights(checks, path, report);
}

}  // namespace headgate::config
