// The daemon's rows (docs/control-protocol.md) as what ipvsadm lists.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/json/object.hpp>

#include "tools/ipvsadm/listing.h"

namespace headgate::ipvsadm {

// 192.0.2.1:80/tcp, mark:6/ipv4: how the daemon names a service; and back.
[[nodiscard]] std::string identity_text(const ServiceId& id);
[[nodiscard]] std::optional<ServiceId> parse_identity(std::string_view text);

// Which backends are listed: as IPVS has them, those that are in their pools now with the weight
// that schedulers see; or as the configuration has them, to be saved.
enum class Which : uint8_t { in_use, configured };

// Gathers rows of `show services`, then those of `show backends`, and of `show connections` where
// persistence templates are to be counted.
class ListingBuilder {
 public:
  explicit ListingBuilder(Which which) : which_(which) {}

  void add_service(const boost::json::object& row);
  void add_backend(const boost::json::object& row);
  void count_template(const ListedConnection& connection);
  [[nodiscard]] std::vector<ListedService> take();

 private:
  using Key = std::pair<std::string, std::string>;  // texts of a service and of a server

  Which which_;
  std::vector<ListedService> services_;
  std::map<std::string, size_t, std::less<>> by_identity_;
  std::map<Key, uint64_t> templates_;
};

// Nothing where a row is none that IPVS would list, or not of the form that is expected.
[[nodiscard]] std::optional<ListedConnection> connection_of(const boost::json::object& row);
[[nodiscard]] bool is_template(const boost::json::object& row);

}  // namespace headgate::ipvsadm
