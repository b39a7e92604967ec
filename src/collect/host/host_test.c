/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "collect/host/host.h"
#include "collect/host/parse.h"

static void check_has(const struct buf *b, const char *line)
{
        Str rest = buf_str(b), l;
        while (str_next(&rest, '\n', &l))
                if (str_eq(l, str_from(line)))
                        return;
        check_fail_at(__FILE__, __LINE__, "no line `%s` in\n" STR_FMT, line, STR_ARG(buf_str(b)));
}

static void check_has_not(const struct buf *b, const char *part)
{
        CHECK_MSG(!str_contains(buf_str(b), str_from(part)), "`%s` is in\n" STR_FMT, part, STR_ARG(buf_str(b)));
}

TEST(host_stat, gives_seconds_of_each_cpu_and_the_counters)
{
        struct buf b = BUF_INIT(1 << 20);
        host_stat(&b, STR("cpu  200 0 0 0 0 0 0 0 0 0\n"
                          "cpu0 49855 4048 13134 196337 196 0 173 82 5 7\n"
                          "cpu1 1 2 3 4 5 6 7 8\n"
                          "intr 2231815 1 2 3\nctxt 4423393\nbtime 1795554730\nprocesses 52797\n"
                          "procs_running 5\nprocs_blocked 0\nsoftirq 9 9\n"));
        check_has(&b, "node_cpu_seconds_total{cpu=\"0\",mode=\"user\"} 498.55");
        check_has(&b, "node_cpu_seconds_total{cpu=\"0\",mode=\"steal\"} 0.82");
        check_has(&b, "node_cpu_guest_seconds_total{cpu=\"0\",mode=\"user\"} 0.05");
        check_has(&b, "node_cpu_guest_seconds_total{cpu=\"0\",mode=\"nice\"} 0.07");
        check_has(&b, "node_cpu_seconds_total{cpu=\"1\",mode=\"idle\"} 0.04");
        check_has(&b, "node_intr_total 2.231815e+06");
        check_has(&b, "node_boot_time_seconds 1.79555473e+09");
        check_has(&b, "node_forks_total 52797");
        check_has(&b, "node_procs_running 5");
        buf_done(&b);
}

TEST(host_meminfo, turns_kilobytes_into_bytes_and_brackets_into_lines)
{
        struct buf b = BUF_INIT(1 << 20);
        host_meminfo(
                &b,
                STR("MemTotal:       49368168 kB\nActive(anon):         12 kB\nHugePages_Total:       3\nbroken\n"));
        check_has(&b, "# HELP node_memory_MemTotal_bytes Memory information field MemTotal_bytes.");
        check_has(&b, "# TYPE node_memory_MemTotal_bytes gauge");
        check_has(&b, "node_memory_MemTotal_bytes 5.0553004032e+10");
        check_has(&b, "node_memory_Active_anon_bytes 12288");
        check_has(&b, "node_memory_HugePages_Total 3");
        buf_done(&b);
}

TEST(host_vmstat, shows_the_exporters_choice)
{
        struct buf b = BUF_INIT(1 << 20);
        host_vmstat(&b, STR("nr_free_pages 1\npgpgin 8814957\npswpout 0\npgfault 2\npgmajfault 3\noom_kill "
                            "0\npgalloc_dma 5\n"));
        check_has(&b, "node_vmstat_pgpgin 8.814957e+06");
        check_has(&b, "node_vmstat_pgmajfault 3");
        check_has(&b, "node_vmstat_oom_kill 0");
        check_has_not(&b, "pgalloc");
        check_has_not(&b, "nr_free");
        buf_done(&b);
}

TEST(host_loadavg, gives_three_loads)
{
        struct buf b = BUF_INIT(1 << 20);
        host_loadavg(&b, STR("6.87 3.53 1.71 5/322 52797\n"));
        check_has(&b, "node_load1 6.87");
        check_has(&b, "node_load5 3.53");
        check_has(&b, "node_load15 1.71");
        buf_done(&b);
}

TEST(host_filefd, gives_allocated_and_maximum)
{
        struct buf b = BUF_INIT(1 << 20);
        host_filefd(&b, STR("873\t0\t2466170\n"));
        check_has(&b, "node_filefd_allocated 873");
        check_has(&b, "node_filefd_maximum 2.46617e+06");
        buf_done(&b);
}

TEST(host_pressure, some_waits_and_full_stalls)
{
        struct buf b = BUF_INIT(1 << 20);
        host_pressure(&b, STR("some avg10=57.63 avg60=73.77 avg300=41.01 total=421648300\nfull avg10=0.00 total=9\n"),
                      STR("some avg10=0 total=1000000\nfull avg10=0 total=2000000\n"), (Str){NULL, 0});
        check_has(&b, "node_pressure_cpu_waiting_seconds_total 421.6483");
        check_has(&b, "node_pressure_io_waiting_seconds_total 1");
        check_has(&b, "node_pressure_io_stalled_seconds_total 2");
        check_has_not(&b, "memory");
        buf_done(&b);
}

TEST(host_diskstats, gives_whole_disks_in_bytes_and_seconds)
{
        struct buf b = BUF_INIT(1 << 20);
        host_diskstats(&b, STR("   7       0 loop0 0 0 0 0 0 0 0 0 0 0 0\n"
                               " 254       0 vda 348691 44240 17629914 371655 117547 162532 19083944 70700 1 42496 "
                               "447703 32689 69 6223720 4534 21526 813\n"
                               " 254       1 vda1 1 1 1 1 1 1 1 1 1 1 1\n"
                               " 259       0 nvme0n1 5 0 2 0 0 0 0 0 0 0 0\n"
                               " 259       1 nvme0n1p1 5 0 2 0 0 0 0 0 0 0 0\n"));
        check_has(&b, "node_disk_read_bytes_total{device=\"vda\"} 9.026515968e+09");
        check_has(&b, "node_disk_read_time_seconds_total{device=\"vda\"} 371.65500000000003");
        check_has(&b, "node_disk_flush_requests_total{device=\"vda\"} 21526");
        check_has(&b, "node_disk_read_bytes_total{device=\"nvme0n1\"} 1024");
        check_has(&b, "node_disk_io_now{device=\"vda\"} 1");
        check_has_not(&b, "vda1");
        check_has_not(&b, "loop0");
        check_has_not(&b, "nvme0n1p1");
        check_has_not(&b, "discards_completed_total{device=\"nvme0n1\"}");
        buf_done(&b);
}

TEST(host_netdev, gives_all_sixteen_columns)
{
        struct buf b = BUF_INIT(1 << 20);
        host_netdev(&b, STR("Inter-|   Receive  |  Transmit\n face |bytes packets\n"
                            "    lo: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"
                            "eth0:528020539 24473 0 0 0 0 0 0 1774265 18659 0 0 0 0 0 0\n"));
        check_has(&b, "node_network_receive_bytes_total{device=\"eth0\"} 5.28020539e+08");
        check_has(&b, "node_network_receive_multicast_total{device=\"lo\"} 8");
        check_has(&b, "node_network_transmit_colls_total{device=\"lo\"} 14");
        check_has(&b, "node_network_transmit_compressed_total{device=\"lo\"} 16");
        buf_done(&b);
}

TEST(host_netstat, pairs_names_with_values)
{
        struct buf b = BUF_INIT(1 << 20);
        host_netstat(&b, STR("TcpExt: SyncookiesSent Foo ListenDrops\nTcpExt: 1 2 3\nIpExt: InOctets\nIpExt: 4\n"),
                     STR("Ip: Forwarding DefaultTTL\nIp: 2 64\nTcp: RtoMin CurrEstab InErrs\nTcp: 9 7 8\nUdpLite: "
                         "InErrors\nUdpLite: 6\n"),
                     STR("Ip6InOctets\t5\nIp6OutNoRoutes 3\nUdpLite6InErrors 0\n"));
        check_has(&b, "node_netstat_TcpExt_SyncookiesSent 1");
        check_has(&b, "node_netstat_TcpExt_ListenDrops 3");
        check_has(&b, "node_netstat_IpExt_InOctets 4");
        check_has(&b, "node_netstat_Ip_Forwarding 2");
        check_has(&b, "node_netstat_Tcp_CurrEstab 7");
        check_has(&b, "node_netstat_Tcp_InErrs 8");
        check_has(&b, "node_netstat_UdpLite_InErrors 6");
        check_has(&b, "node_netstat_Ip6_InOctets 5");
        check_has(&b, "node_netstat_UdpLite6_InErrors 0");
        check_has_not(&b, "Foo");
        check_has_not(&b, "DefaultTTL");
        check_has_not(&b, "OutNoRoutes");
        buf_done(&b);
}

TEST(host_sockstat, memory_is_also_given_in_bytes)
{
        struct buf b = BUF_INIT(1 << 20);
        host_sockstat(&b, STR("sockets: used 27\nTCP: inuse 7 orphan 0 tw 166 alloc 7 mem 235\n"),
                      STR("TCP6: inuse 0\n"), 4096);
        check_has(&b, "node_sockstat_sockets_used 27");
        check_has(&b, "node_sockstat_TCP_tw 166");
        check_has(&b, "node_sockstat_TCP_mem_bytes 962560");
        check_has(&b, "node_sockstat_TCP6_inuse 0");
        buf_done(&b);
}

static void list_mount(void *ctx, const struct host_mount *m)
{
        buf_printf(ctx, STR_FMT "|" STR_FMT "|" STR_FMT "|%d\n", STR_ARG(m->device), STR_ARG(m->point),
                   STR_ARG(m->fs_type), m->read_only);
}

TEST(host_mounts, leaves_out_pseudo_file_systems)
{
        struct buf b = BUF_INIT(1 << 20);
        host_mounts(STR("/dev/vda / ext4 rw,relatime 0 0\nproc /proc proc rw 0 0\ntmpfs /dev/shm tmpfs rw 0 0\n"
                        "/dev/sdb /my\\040disk xfs ro,noatime 0 0\noverlay /x overlay rw 0 0\ntmpfs /run tmpfs rw 0 0\n"
                        "/dev/sdc /development ext4 errors=remount-ro,rw 0 0\nbad line\n"),
                    list_mount, &b);
        CHECK_STR(buf_str(&b),
                  "/dev/vda|/|ext4|0\n/dev/sdb|/my disk|xfs|1\ntmpfs|/run|tmpfs|0\n/dev/sdc|/development|ext4|0\n");
        buf_done(&b);
}

TEST(host_collect, gives_the_core_families_of_this_machine)
{
        struct buf b = BUF_INIT(16 << 20);
        host_collect(&b);
        CHECK(!buf_is_over(&b));
        static const char *const families[] = {
                "node_cpu_seconds_total", "node_memory_MemTotal_bytes", "node_load1",
                "node_uname_info",        "node_time_seconds",          "node_filefd_allocated",
                "node_boot_time_seconds"};
        for (size_t i = 0; i < ARRAY_LEN(families); i++)
                CHECK_MSG(str_contains(buf_str(&b), str_from(families[i])), "%s is missing", families[i]);
        check_has(&b, "node_scrape_collector_success{collector=\"cpu\"} 1");
        buf_done(&b);
}
