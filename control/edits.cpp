#include "control/edits.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "config/keep_changes.h"
#include "control/config_fields.h"
#include "control/selector.h"

namespace headgate::control {

namespace json = boost::json;
using config::Config;

namespace {

using Scope = std::expected<EditScope, Error>;

template <typename T>
std::expected<void, Error> set_fields(T& section, const json::object& fields) {
  for (const auto& [key, value] : fields) {
    if (auto set = set_field(section, key, value); !set) return set;
  }
  return {};
}

EditScope touched(const config::Service& service) {
  return {.services = {key_of(service)}};
}

struct Place {
  size_t service;
  size_t backend;
};
std::expected<Place, Error> locate(const Config& config, std::string_view service,
                                   std::string_view backend) {
  const auto its_service = find_service(config, service);
  if (!its_service) return std::unexpected(its_service.error());
  const auto its_backend = find_backend(config.services[*its_service], backend);
  if (!its_backend) return std::unexpected(its_backend.error());
  return Place{*its_service, *its_backend};
}

}  // namespace

Edit add_service(std::string service, json::object fields) {
  return [service = std::move(service), fields = std::move(fields)](Config& config) -> Scope {
    auto added = parse_service(service);
    if (!added) return std::unexpected(added.error());
    const config::ServiceKey key = key_of(*added);
    for (const config::Service& other : config.services) {
      if (key_of(other) == key) {
        return std::unexpected(
            Error{fmt::format("service {} is there already; change it with `headgate service edit`",
                              to_string(key)),
                  Reason::service_exists});
      }
    }
    if (auto set = set_fields(*added, fields); !set) return std::unexpected(set.error());
    config.services.push_back(std::move(*added));
    return touched(config.services.back());
  };
}

Edit edit_service(std::string service, json::object fields) {
  return [service = std::move(service), fields = std::move(fields)](Config& config) -> Scope {
    const auto index = find_service(config, service);
    if (!index) return std::unexpected(index.error());
    config::Service edited = config.services[*index];
    if (auto set = set_fields(edited, fields); !set) return std::unexpected(set.error());
    config.services[*index] = std::move(edited);
    return touched(config.services[*index]);
  };
}

Edit delete_service(std::string service) {
  return [service = std::move(service)](Config& config) -> Scope {
    const auto index = find_service(config, service);
    if (!index) return std::unexpected(index.error());
    EditScope scope = touched(config.services[*index]);
    config.services.erase(config.services.begin() + static_cast<ptrdiff_t>(*index));
    return scope;
  };
}

Edit delete_all_services() {
  return [](Config& config) -> Scope {
    EditScope scope;
    for (const config::Service& service : config.services)
      scope.services.push_back(key_of(service));
    config.services.clear();
    return scope;
  };
}

Edit add_backend(std::string service, std::string backend, json::object fields) {
  return [service = std::move(service), backend = std::move(backend),
          fields = std::move(fields)](Config& config) -> Scope {
    const auto index = find_service(config, service);
    if (!index) return std::unexpected(index.error());
    config::Service& its = config.services[*index];
    const auto key = parse_backend(backend, its.port);
    if (!key) return std::unexpected(key.error());
    const auto same = [&](const config::Backend& other) { return key_of(other) == *key; };
    if (std::ranges::any_of(its.backends, same)) {
      return std::unexpected(Error{
          fmt::format("backend {} of {} is there already; change it with `headgate backend edit`",
                      to_string(*key), name_of(its)),
          Reason::backend_exists});
    }
    config::Backend added;
    added.address = key->address;
    added.port = key->port;
    if (auto set = set_fields(added, fields); !set) return std::unexpected(set.error());
    its.backends.push_back(std::move(added));
    return touched(its);
  };
}

Edit edit_backend(std::string service, std::string backend, json::object fields) {
  return [service = std::move(service), backend = std::move(backend),
          fields = std::move(fields)](Config& config) -> Scope {
    const auto place = locate(config, service, backend);
    if (!place) return std::unexpected(place.error());
    config::Backend edited = config.services[place->service].backends[place->backend];
    if (auto set = set_fields(edited, fields); !set) return std::unexpected(set.error());
    config.services[place->service].backends[place->backend] = std::move(edited);
    return touched(config.services[place->service]);
  };
}

Edit delete_backend(std::string service, std::string backend) {
  return [service = std::move(service), backend = std::move(backend)](Config& config) -> Scope {
    const auto place = locate(config, service, backend);
    if (!place) return std::unexpected(place.error());
    config::Service& its = config.services[place->service];
    its.backends.erase(its.backends.begin() + static_cast<ptrdiff_t>(place->backend));
    return touched(its);
  };
}

Edit drain_backend(std::string service, std::string backend, DrainTime time) {
  return
      [service = std::move(service), backend = std::move(backend), time](Config& config) -> Scope {
        const auto place = locate(config, service, backend);
        if (!place) return std::unexpected(place.error());
        config::Service& its = config.services[place->service];
        config::Backend& drained = its.backends[place->backend];
        drained.weight = 0;
        EditScope scope = touched(its);
        scope.drains.push_back(
            {key_of(its), key_of(drained),
             time.as_configured ? drain_deadline_of(its, drained) : time.deadline_s});
        return scope;
      };
}

Edit set_timeouts(json::object fields) {
  return [fields = std::move(fields)](Config& config) -> Scope {
    config::Timeouts edited = config.timeouts;
    if (auto set = set_fields(edited, fields); !set) return std::unexpected(set.error());
    config.timeouts = edited;
    return EditScope{.settings = true};
  };
}

Edit replace_all(std::shared_ptr<const Config> wanted) {
  return [wanted = std::move(wanted)](Config& config) -> Scope {
    config = *wanted;
    return EditScope{.everything = true};
  };
}

Edit replace_file(std::shared_ptr<const Config> base, std::shared_ptr<const Config> wanted,
                  std::shared_ptr<std::vector<std::string>> lost) {
  return [base = std::move(base), wanted = std::move(wanted),
          lost = std::move(lost)](Config& config) -> Scope {
    config::KeptChanges kept = config::keep_changes(*base, config, *wanted);
    config = std::move(kept.config);
    *lost = std::move(kept.lost);
    return EditScope{.everything = true};
  };
}

}  // namespace headgate::control
