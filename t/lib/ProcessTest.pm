package ProcessTest;

# What a process has, by proc(5). Loading it does nothing else: programs that are watched by others
# load it, too.

use strict;
use warnings;
no warnings 'portable';    # addresses have more than 32 bits

use Exporter 'import';

our @EXPORT_OK = qw(%namespace_file interfaces ids map_of true eventually ended ends slurp status_field fd_field closes_on_exec mappings guarded stacks open_files descriptors process_ids process_stat child_ids children);

# The file in /proc/PID/ns of each kind of namespace that clone(2) makes; NEWTIME is clone3's.
our %namespace_file = (NEWCGROUP => 'cgroup', NEWIPC => 'ipc', NEWNET => 'net', NEWNS => 'mnt', NEWPID => 'pid', NEWUSER => 'user', NEWUTS => 'uts');

# A program that does nothing.
sub true { return (grep { -x } '/bin/true', '/usr/bin/true')[0] }

# Whether the code becomes true, within so many seconds.
sub eventually {
    my ($seconds, $code) = @_;
    for (1 .. 1000 * $seconds) {
        return 1 if $code->();
        select undef, undef, undef, 0.001;
    }
    return 0;
}

# How the last child ended, by $?: "exit N" or "signal N".
sub ended {
    return $? & 127 ? 'signal ' . ($? & 127) : 'exit ' . ($? >> 8);
}

# How that many children ended, which the code starts one after the other, by the number of each:
# "5: 10" if ten ended with 5. One that takes 10 seconds hung.
sub ends {
    my ($times, $start) = @_;
    my %ends;
    for my $n (1 .. $times) {
        my $pid = $start->($n);
        $pid > 0 or die "child $n: $!";
        local $SIG{ALRM} = sub { kill KILL => $pid };
        alarm 10;
        waitpid $pid, 0;
        alarm 0;
        $ends{ $? & 127 ? 'hung' : $? >> 8 }++;
    }
    return join ', ', map { "$_: $ends{$_}" } sort keys %ends;
}

sub slurp {
    my ($file) = @_;
    open my $fh, '<', $file or die "$file: $!";
    local $/;
    return <$fh>;
}

# A field of a file in /proc, or undef if it has no such field.
sub field {
    my ($file, $name) = @_;
    return slurp($file) =~ /^$name:\s+(\w+)/m ? $1 : undef;
}

# A field of /proc/self/status: a mask (SigBlk, SigPnd, ...), a size in kB (VmSize, ...).
sub status_field { my ($name) = @_; return field('/proc/self/status', $name) }

# What the kernel says of a descriptor: its flags, the Pid of a pidfd.
sub fd_field { my ($fd, $name) = @_; return field("/proc/self/fdinfo/$fd", $name) }

sub closes_on_exec { my ($fd) = @_; return oct(fd_field($fd, 'flags')) & 02000000 ? 1 : 0 }

# The real and effective ids of user and group.
sub ids { return "$< $> " . ($( + 0) . ' ' . ($) + 0) }

# The rows of uid_map or gid_map, as in "0 1000 1;1 100000 65536".
sub map_of { my ($file) = @_; return join ';', map { join ' ', split } split /\n/, slurp("/proc/self/$file") }

# The names of the network interfaces.
sub interfaces { return slurp('/proc/self/net/dev') =~ /^\s*(\S+):/mg }

# The lines of /proc/self/maps.
sub mappings {
    return split /\n/, slurp('/proc/self/maps');
}

# Among lines of /proc/PID/maps, what looks like a stack: a mapping with read and write right above
# one without access, its guard. Of each its address, its size, its access, and the guard's size.
sub guarded {
    my (@lines) = @_;
    my (@found, $guard);
    for (@lines) {
        my ($from, $to, $access) = /^(\w+)-(\w+) (\S+)/;
        my ($start, $size) = (hex $from, hex($to) - hex $from);
        push @found, { start => $start, size => $size, access => $access, guard => $guard->{size} } if $guard && $guard->{end} == $start && $access =~ /^rw/;
        $guard = $access eq '---p' ? { end => $start + $size, size => $size } : undef;
    }
    return @found;
}

# The number of our stacks that are mapped: with read and write, above a guard of 1 MiB.
sub stacks {
    return 0 if $ENV{UNDER_SANITIZER};    # which has mappings of its own that look the same
    return scalar grep { $_->{access} eq 'rw-p' && $_->{guard} == 1 << 20 } guarded(mappings());
}

# The ids of all processes.
sub process_ids {
    opendir my $dir, '/proc' or die "/proc: $!";
    return grep { /^\d+$/ } readdir $dir;
}

# A process's state (a letter, Z for a zombie), parent, process group, session, and name; nothing if it is gone.
sub process_stat {
    my ($pid) = @_;
    open my $fh, '<', "/proc/$pid/stat" or return;
    # of several lines if its name is
    my ($name, @rest) = do { local $/; <$fh> // '' } =~ /^\d+ \((.*)\) (\S) (\d+) (\d+) (\d+)/s or return;
    return (@rest, $name);
}

# The ids of this process's children, zombies too.
sub child_ids {
    return grep { my (undef, $parent) = process_stat($_); defined $parent && $parent == $$ } process_ids();
}

# Their number.
sub children { return scalar(() = child_ids()) }

# What is open: the number of each descriptor => what it leads to. Without the one that reads them.
sub open_files {
    opendir my $dir, '/proc/self/fd' or die "/proc/self/fd: $!";
    my @fds = grep { /^\d/ } readdir $dir;
    closedir $dir;
    return map { my $target = readlink "/proc/self/fd/$_"; defined $target ? ($_ => $target) : () } @fds;
}

# The number of open descriptors.
sub descriptors { return scalar(() = open_files()) / 2 }

1;
