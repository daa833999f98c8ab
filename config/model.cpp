#include "config/model.h"

#include "config/names.h"

namespace headgate::config {

net::Family family_of(const Service& service) {
  if (!service.firewall_mark) return service.address.family;
  return service.family == net::Family::none ? net::Family::ipv4 : service.family;
}

ServiceKey key_of(const Service& service) {
  ServiceKey key;
  key.family = family_of(service);
  if (service.firewall_mark) {
    key.firewall_mark = *service.firewall_mark;
  } else {
    key.protocol = static_cast<uint8_t>(service.protocol);
    key.port = service.port;
    key.address = service.address;
  }
  return key;
}

BackendKey key_of(const Backend& backend) {
  return {backend.address, backend.port};
}

std::string to_string(const ServiceKey& key) {
  if (key.protocol == 0) {
    return "mark:" + std::to_string(key.firewall_mark) + "/" + std::string(name_of(key.family));
  }
  return net::endpoint_to_string(key.address, key.port) + "/" +
         std::string(name_of(static_cast<Protocol>(key.protocol)));
}

std::string to_string(const BackendKey& key) {
  return net::endpoint_to_string(key.address, key.port);
}

std::string name_of(const Service& service) {
  return service.name.empty() ? to_string(key_of(service)) : service.name;
}

std::string name_of(const Backend& backend) {
  return backend.name.empty() ? to_string(key_of(backend)) : backend.name;
}

}  // namespace headgate::config
