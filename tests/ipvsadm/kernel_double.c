// The kernel's IPVS for one process of ipvsadm, so that its options can be recorded where there is
// none: LD_PRELOADed, it answers the old socket options of <linux/ip_vs.h> for IPv4. A request to
// change something is printed to standard output in brackets and succeeds, or fails with the
// errno in $DOUBLE_ERRNO. Tables are empty; $DOUBLE_CONNECTIONS names a file to be read in place of
// /proc/net/ip_vs_conn.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <linux/ip_vs.h>
#include <sys/socket.h>

static int answer(void) {
  const char* wanted = getenv("DOUBLE_ERRNO");
  if (wanted == NULL) return 0;
  errno = atoi(wanted);
  return -1;
}

static void print_service(const struct ip_vs_service_user* service) {
  const struct in_addr address = {service->addr};
  printf(" proto=%d %s:%d mark=%u sched=%s flags=%x timeout=%u mask=%08x", service->protocol,
         inet_ntoa(address), ntohs(service->port), service->fwmark, service->sched_name,
         service->flags, service->timeout, ntohl(service->netmask));
}

static void print_server(const struct ip_vs_dest_user* server) {
  const struct in_addr address = {server->addr};
  printf(" dest %s:%d conn=%x weight=%d u=%u l=%u", inet_ntoa(address), ntohs(server->port),
         server->conn_flags, server->weight, server->u_threshold, server->l_threshold);
}

int setsockopt(int fd, int level, int name, const void* value, socklen_t length) {
  static const char* const names[] = {"none", "insert",  "add",     "edit",     "del",     "flush",
                                      "list", "adddest", "deldest", "editdest", "timeout", "start",
                                      "stop", "restore", "save",    "zero"};
  if (name < IP_VS_BASE_CTL || name > IP_VS_SO_SET_MAX) {
    int (*real)(int, int, int, const void*, socklen_t) = dlsym(RTLD_NEXT, "setsockopt");
    return real(fd, level, name, value, length);
  }
  printf("[%s", names[name - IP_VS_BASE_CTL]);
  if (name == IP_VS_SO_SET_TIMEOUT) {
    const struct ip_vs_timeout_user* timeout = value;
    printf(" %d %d %d", timeout->tcp_timeout, timeout->tcp_fin_timeout, timeout->udp_timeout);
  } else if (name == IP_VS_SO_SET_STARTDAEMON || name == IP_VS_SO_SET_STOPDAEMON) {
    const struct ip_vs_daemon_user* daemon = value;
    printf(" state=%d id=%d", daemon->state, daemon->syncid);
  } else if (length >= sizeof(struct ip_vs_service_user)) {
    const struct ip_vs_service_user* service = value;
    print_service(service);
    if (length >= sizeof(*service) + sizeof(struct ip_vs_dest_user)) {
      print_server((const struct ip_vs_dest_user*)(service + 1));
    }
  }
  printf("]\n");
  fflush(stdout);
  return answer();
}

int getsockopt(int fd, int level, int name, void* value, socklen_t* length) {
  if (name < IP_VS_BASE_CTL || name > IP_VS_SO_GET_MAX) {
    int (*real)(int, int, int, void*, socklen_t*) = dlsym(RTLD_NEXT, "getsockopt");
    return real(fd, level, name, value, length);
  }
  switch (name) {
    case IP_VS_SO_GET_INFO: {
      const struct ip_vs_getinfo info = {IP_VS_VERSION_CODE, 4096, 0};
      memcpy(value, &info, sizeof(info));
      return 0;
    }
    case IP_VS_SO_GET_TIMEOUT: {
      const struct ip_vs_timeout_user timeout = {900, 120, 300};
      memcpy(value, &timeout, sizeof(timeout));
      return 0;
    }
    case IP_VS_SO_GET_DAEMON:
      memset(value, 0, 2 * sizeof(struct ip_vs_daemon_user));
      return 0;
    case IP_VS_SO_GET_SERVICE:
      return answer();
    case IP_VS_SO_GET_VERSION:
    case IP_VS_SO_GET_SERVICES:
    case IP_VS_SO_GET_DESTS:
      return 0;
    default:
      errno = EINVAL;
      return -1;
  }
}

static FILE* open_file(const char* function, const char* path, const char* mode) {
  FILE* (*real)(const char*, const char*) = dlsym(RTLD_NEXT, function);
  const char* connections = getenv("DOUBLE_CONNECTIONS");
  const int is_table = strcmp(path, "/proc/net/ip_vs_conn") == 0;
  return real(is_table && connections != NULL ? connections : path, mode);
}

FILE* fopen(const char* path, const char* mode) {
  return open_file("fopen", path, mode);
}

FILE* fopen64(const char* path, const char* mode) {
  return open_file("fopen64", path, mode);
}
