#include "control/vrrp/router.h"
namespace headgate::control {
VrrpStatus VrrpRouter::status(Time) const {
  VrrpStatus status;
  for (const auto& r : routers_) {
    VrrpInstanceStatus& row = status.instances.emplace_back();
    row.name = r->plan.config.name;
    row.state = vrrp::name_of(r->machine.state);
    row.effective_priority = r->machine.priority;
    row.faults = r->faults;
    row.late_adverts = r->counters.late_adverts;
    row.adverts_received = r->counters.adverts_received;
    for (size_t i = 0; i < vrrp::discard_reasons; ++i)
      row.discards.emplace_back(vrrp::name_of(static_cast<vrrp::Discard>(i)),
                                r->counters.discards[i]);
  }
  return status;
}
}  // namespace headgate::control
