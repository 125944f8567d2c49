# Perl: processes, pipes, signals, sockets, sorting, regular expressions, files.
use strict; use warnings; use POSIX ":sys_wait_h"; use Socket; use File::Temp "tempdir"; use Digest::SHA "sha256_hex"; use Time::HiRes "usleep"; $| = 1;
print join(" ", sort { $a <=> $b } map { $_ * 37 % 101 } 1 .. 20), "\n"; print sha256_hex("x" x 100000), "\n";
my $dir = tempdir(CLEANUP => 1); open my $out, ">", "$dir/f" or die; print $out "line $_\n" for 1 .. 1000; close $out; open my $in, "<", "$dir/f"; my $last; $last = $_ while <$in>; print $last, -s "$dir/f", "\n";
print `echo from the shell; exit 3`, $? >> 8, "\n"; open my $pipe, "-|", "seq 5"; print <$pipe>; close $pipe;
pipe my $r, my $w; if (my $pid = fork) { close $w; print <$r>; waitpid $pid, 0; print $? >> 8, "\n" } else { close $r; print $w "from the child\n"; close $w; POSIX::_exit(6) }
local $SIG{USR1} = sub { print "signal\n" }; kill USR1 => $$; local $SIG{ALRM} = sub { die "alarm\n" }; eval { alarm 1; sleep 10 }; print $@;
my $pid = fork // die; if (!$pid) { sleep 100; exit } kill TERM => $pid; waitpid $pid, 0; print $? & 127, " ", WIFSIGNALED($?), "\n";
socketpair my $a, my $b, AF_UNIX, SOCK_STREAM, PF_UNSPEC; syswrite $a, "socket"; sysread $b, my $text, 10; print "$text\n"; (my $t = "hello world") =~ s/(\w+)/\u$1/g; print "$t\n"; system "true"; print $?, "\n"; exec "echo", "replaced";
