#include "control/health/health_state.h"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <optional>
#include <system_error>
#include <unistd.h>
#include <utility>

#include <boost/json.hpp>
#include <fmt/format.h>
#include <sys/stat.h>

namespace headgate::control {

namespace json = boost::json;

namespace {

constexpr int64_t state_version = 1;

json::object json_of(const config::ServiceKey& key) {
  return {{"family", static_cast<uint64_t>(key.family)},
          {"protocol", key.protocol},
          {"port", key.port},
          {"firewall_mark", key.firewall_mark},
          {"address", key.firewall_mark != 0 ? std::string() : net::to_string(key.address)}};
}

json::object json_of(const SavedBackend& backend) {
  json::array history;
  for (const LifeChange& change : backend.life.history)
    history.push_back({{"up", change.up}, {"at", change.at}, {"reason", change.reason}});
  return {{"address", net::to_string(backend.key.address)},
          {"port", backend.key.port},
          {"up", backend.life.up},
          {"since", backend.life.since},
          {"reason", backend.life.reason},
          {"history", history}};
}

// Any of these throws what boost::json throws when the shape is another one.

net::IpAddress address_of(const json::value& value) {
  const auto address = net::parse_ip(std::string_view(value.as_string()));
  if (!address) throw std::runtime_error("a text is no address");
  return *address;
}

config::ServiceKey service_key_of(const json::object& object) {
  config::ServiceKey key;
  key.family = static_cast<net::Family>(object.at("family").to_number<uint8_t>());
  key.protocol = object.at("protocol").to_number<uint8_t>();
  key.port = object.at("port").to_number<uint16_t>();
  key.firewall_mark = object.at("firewall_mark").to_number<uint32_t>();
  if (key.firewall_mark == 0) key.address = address_of(object.at("address"));
  return key;
}

SavedBackend backend_of(const json::object& object) {
  SavedBackend backend;
  backend.key = {.address = address_of(object.at("address")),
                 .port = object.at("port").to_number<uint16_t>()};
  BackendLife& life = backend.life;
  life.known = true;
  life.up = object.at("up").as_bool();
  life.since = object.at("since").to_number<int64_t>();
  life.reason = object.at("reason").as_string();
  for (const json::value& value : object.at("history").as_array()) {
    const json::object& change = value.as_object();
    life.history.push_back({change.at("up").as_bool(), change.at("at").to_number<int64_t>(),
                            std::string(change.at("reason").as_string())});
    if (life.history.size() > life_history) life.history.pop_front();
  }
  return backend;
}

std::vector<SavedService> services_of(const json::value& value) {
  const json::object& root = value.as_object();
  if (root.at("version").to_number<int64_t>() != state_version) {
    throw std::runtime_error("it is of another version");
  }
  std::vector<SavedService> services;
  for (const json::value& entry : root.at("services").as_array()) {
    const json::object& object = entry.as_object();
    SavedService& service = services.emplace_back();
    service.key = service_key_of(object);
    service.quorum = object.at("quorum").as_bool();
    for (const json::value& backend : object.at("backends").as_array())
      service.backends.push_back(backend_of(backend.as_object()));
  }
  return services;
}

std::unexpected<Error> failure(const std::string& path, std::string_view what) {
  return std::unexpected(Error{fmt::format("{}: {}", path, what)});
}

std::unexpected<Error> system_failure(const std::string& path) {
  return failure(path, std::generic_category().message(errno));
}

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = write(fd, text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    text.remove_prefix(static_cast<size_t>(count));
  }
  return true;
}

}  // namespace

std::string to_text(const std::vector<SavedService>& services) {
  json::array list;
  for (const SavedService& service : services) {
    json::object object = json_of(service.key);
    object["quorum"] = service.quorum;
    json::array backends;
    for (const SavedBackend& backend : service.backends)
      backends.push_back(json_of(backend));
    object["backends"] = std::move(backends);
    list.push_back(std::move(object));
  }
  const json::object root{{"version", state_version}, {"services", std::move(list)}};
  return json::serialize(root) + "\n";
}

std::expected<std::vector<SavedService>, Error> parse_health_state(std::string_view text) {
  try {
    return services_of(json::parse(text));
  } catch (const std::exception& exception) {
    return std::unexpected(Error{fmt::format("is no state of health: {}", exception.what())});
  }
}

std::expected<std::vector<SavedService>, Error> read_health_state(const std::string& path) {
  std::ifstream file(path);
  if (!file) {
    if (errno == ENOENT) return std::vector<SavedService>{};
    return system_failure(path);
  }
  const std::string text(std::istreambuf_iterator<char>(file), {});
  auto services = parse_health_state(text);
  if (!services) return failure(path, services.error().text);
  return services;
}

std::expected<void, Error> write_health_state(const std::string& path,
                                              const std::vector<SavedService>& services) {
  if (services.empty()) {
    if (unlink(path.c_str()) != 0 && errno != ENOENT) return system_failure(path);
    return {};
  }
  const std::string next = path + ".new";
  const int fd = open(next.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
  if (fd < 0) return system_failure(next);
  const bool written = write_all(fd, to_text(services));
  const int error = errno;
  close(fd);
  errno = error;
  if (!written) return system_failure(next);
  if (rename(next.c_str(), path.c_str()) != 0) return system_failure(path);
  return {};
}

}  // namespace headgate::control
