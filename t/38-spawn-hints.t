# spawn: messages that name the cause, where $! alone does not.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use CloneTest qw(slurp stacks descriptors children nr);
use FaultTest ();
use Fcntl qw(O_WRONLY O_NOFOLLOW);
use File::Path ();
use File::Temp ();
use POSIX qw(:errno_h);
use SpawnTest;

my $dir = File::Temp->newdir;
chmod 0755, $dir or die $!;
my ($uid, $gid) = ($>, $) + 0);
my @root = (uid_map => 'root', gid_map => 'root');
# what lets anybody have other namespaces
my @user = $uid == 0 ? () : @root;
my $state = sub { return join ' ', stacks(), descriptors(), children() };

{
    my $end = end(code => sub { 0 }, @root);
    plan skip_all => "the kernel refuses a user namespace: $end" if $end ne 'exit 0';
}
my $at_start = $state->();

sub script {
    my ($name, $text, $mode) = @_;
    my ($path) = "$dir/$name" =~ m{^(.*)/};
    File::Path::mkpath($path);
    open my $fh, '>', "$dir/$name" or die "$dir/$name: $!";
    print {$fh} $text;
    close $fh or die $!;
    chmod $mode // 0755, "$dir/$name" or die $!;
    return "$dir/$name";
}

# ---- exec ----

{
    my $fails = sub {
        my ($errno, $program, $hint, $name, @options) = @_;
        local $! = $errno;
        my $message = "errno $errno: Linux::Clone::spawn: exec $program: $!" . ($hint eq '' ? '' : " ($hint)");
        is end(exec => [$program], @options), $message, $name;
    };
    my $is = sub {
        my ($errno, $line, $hint, $name, @options) = @_;
        $fails->($errno, script('script', $line), $hint, $name, @options);
    };
    my $no = "$dir/no";
    $is->(ENOENT, "#!$no\n", qq{its interpreter "$no" is missing}, 'no interpreter');
    $is->(ENOENT, "#! \t$no -w\n", qq{its interpreter "$no" is missing}, 'with an argument');
    $is->(ENOENT, "#!$no", qq{its interpreter "$no" is missing}, 'without the end of the line');
    $is->(ENOENT, "#!/bin/sh\r\n", qq{its interpreter "/bin/sh\\r" is missing: the first line ends in CR LF}, 'CR LF');
    $is->(ENOENT, "#!no/such\n", 'its interpreter "no/such" is missing', 'a relative one');
    my $inner = script('inner', "#!$no\n");
    $is->(ENOENT, "#!$inner\n", qq{its interpreter's interpreter "$no" is missing}, 'that of the interpreter');
    $is->(EACCES, "#!/etc/passwd\n", 'its interpreter "/etc/passwd" may not be executed', 'one that is no program');
    $is->(EACCES, "#!$dir\n", qq{its interpreter "$dir" may not be executed}, 'a directory');
    $is->(ENOTDIR, "#!/etc/passwd/x\n", 'its interpreter "/etc/passwd/x" cannot be reached: Not a directory', 'below a file');
    symlink 'loop', "$dir/loop" or die $!;
    $is->(ELOOP, "#!$dir/loop\n", qq{its interpreter "$dir/loop" cannot be reached: Too many levels of symbolic links}, 'a loop of links');
    my $self = "$dir/script";
    $is->(ELOOP, "#!$self\n", 'its interpreter has an interpreter, and so on', 'one that is its own');
    # in PATH, and where cwd is
    script('a/tool', "#!$no\n");
    $fails->(ENOENT, 'tool', qq{its interpreter "$no" is missing}, 'in PATH', env => { PATH => "$dir/b:$dir/a" });
    $fails->(ENOENT, './tool', qq{its interpreter "$no" is missing}, 'below cwd', cwd => "$dir/a");
    $fails->(ENOENT, 'tool', '', 'not found', env => { PATH => "$dir/b" });
    script('a/sub', "#!b/such\n");
    $fails->(ENOENT, './sub', 'its interpreter "b/such" is missing', 'both below cwd', cwd => "$dir/a");
    # ELF
    my $true = FaultTest::true();
    my $elf = slurp($true);
    my ($loader) = $elf =~ m{(/lib\S*/ld[^\0]+)\0} or die 'no loader';
    $fails->(ENOENT, script('elf', $elf =~ s{\Q$loader\E\0}{'/' . 'x' x (length($loader) - 1) . "\0"}er), 'its loader "/' . 'x' x (length($loader) - 1) . '" is missing', 'no ELF loader');
    $fails->(EACCES, script('elf', $elf =~ s{\Q$loader\E\0}{'/etc/passwd' . "\0" x (length($loader) - 10)}er), 'its loader "/etc/passwd" may not be executed', 'no program');
    # headers that lie; sh runs what the kernel does not know
    open my $null, '>', '/dev/null' or die $!;
    my $wrong = sub { my ($at, $bytes) = @_; my $text = $elf; substr $text, $at, length $bytes, $bytes; return script('elf', $text) };
    for my $lie ([ 32, "\xff" x 8 ], [ 54, "\xff\xff\xff\xff" ], [ 56, "\xff\xff" ], [ 4, "\x01" ], [ 5, "\x02" ], [ 64 + 8, "\xff" x 8 ], [ 64 + 56 + 8, "\xff" x 8 ]) {
        my $end = end(exec => [ $wrong->(@$lie) ], stderr => $null);
        ok $end !~ /panic/, "a header that lies at $lie->[0]: $end";
    }
    $fails->(ENOENT, $_, '', 'an empty or odd name') for '', "$dir/no", "$dir/no\n";
    SKIP: {
        my $end = end(code => sub { 0 }, @user, flags => Linux::Clone::NEWNS());
        skip "the kernel refuses a mount namespace: $end", 4 if $end ne 'exit 0';
        # in a new root
        my $root = "$dir/box";
        script("box/true", $elf);
        script("box/script", "#!/bin/sh\n");
        script("box/tool", "#!/no\n");
        symlink '/true', "$root/link" or die $!;
        script("box/plain", ":\n");
        my $view = end(exec => ['/tool'], @user, root => $root) =~ /missing/;
        skip 'this kernel has no openat2', 4 if !$view;
        $fails->(ENOENT, '/true', qq{its loader "$loader" is missing}, 'a root without the loader', @user, root => $root);
        $fails->(ENOENT, '/link', qq{its loader "$loader" is missing}, 'by a link', @user, root => $root);
        $fails->(ENOENT, '/script', 'its interpreter "/bin/sh" is missing', 'without sh', @user, root => $root);
        $fails->(ENOENT, 'script', 'its interpreter "/bin/sh" is missing', 'in its PATH', @user, root => $root, env => { PATH => '/' });
        $fails->(ENOENT, '/plain', 'it has no #! line, and /bin/sh is missing', 'a file for sh', @user, root => $root);
        $fails->(ENOENT, '/bin/true', '', 'what is outside is not there', @user, root => $root);
        opendir my $handle, $root or die $!;
        $fails->(ENOENT, '/tool', 'its interpreter "/no" is missing', 'a root by descriptor', @user, root => '/proc/self/fd/' . fileno $handle);
        # noexec
        is told(sub {
            system('mount', '-t', 'tmpfs', '-o', 'noexec', 'none', "$dir/a") == 0 or die 'mount';
            my $tool = script('a/tool', "#!/bin/sh\n");
            my $script = script('script', "#!$tool\n");
            join "\n", end(exec => [$tool]), end(exec => [$script]);
        }, @user, flags => Linux::Clone::NEWNS()), join("\n",
            'errno ' . EACCES . ": Linux::Clone::spawn: exec $dir/a/tool: Permission denied (it is on a file system that is mounted noexec)",
            'errno ' . EACCES . qq{: Linux::Clone::spawn: exec $dir/script: Permission denied (its interpreter "$dir/a/tool" is on a file system that is mounted noexec)}), 'noexec';
    }
    SKIP: {
        my ($file, $name) = (script('capable', $elf), 'security.capability');
        # CAP_NET_ADMIN, effective, in version 2
        my $capabilities = pack 'L5', 0x02000001, 1 << 12, 0, 0, 0;
        my $set = syscall(nr('setxattr'), $file, $name, $capabilities, length $capabilities, 0);
        skip "this user, or the file system, gives no file capabilities: errno @{[ $! + 0 ]} ($!)", 2 if $set != 0;
        is end(exec => [$file]), 'exit 0', 'a program with capabilities';
        is told(sub { syscall(nr('prctl'), 24, 12, 0, 0, 0) == 0 or die $!; end(exec => [$file]) }),
            'errno ' . EPERM . ": Linux::Clone::spawn: exec $file: Operation not permitted (it has capabilities of its own, and not all of them are in the caller's bounding set)", 'that the caller may not have';
    }
    # neither FIFOs nor devices are opened
    POSIX::mkfifo("$dir/fifo", 0777) or die $!;
    $fails->(EACCES, "$dir/fifo", '', 'a FIFO');
    $is->(EACCES, "#!$dir/fifo\n", qq{its interpreter "$dir/fifo" may not be executed}, 'as an interpreter');

    # ---- too long ----
    my $page = POSIX::sysconf(POSIX::_SC_PAGESIZE());
    my ($most, $more) = (32 * $page - 1, 32 * $page);
    my $too_long = sub {
        my ($hint, $name, @options) = @_;
        local $! = E2BIG;
        is end(@options), 'errno ' . E2BIG . ": Linux::Clone::spawn: exec true: $! ($hint)", $name;
    };
    is end(exec => [ 'true', 'x' x $most ]), 'exit 0', 'the longest argument';
    $too_long->("element 2 of exec has $more bytes, but $most are the most", 'one more', exec => [ 'true', 1, 'x' x $more ]);
    is end(exec => ['true'], env => { LONG => 'x' x ($most - 5) }), 'exit 0', 'the longest variable';
    $too_long->(qq{the variable "LONG" has $more bytes, but $most are the most}, 'one more', exec => ['true'], env => { A => 1, LONG => 'x' x ($more - 5) });
    {
        local $ENV{LONG_ONE} = 'x' x ($more - 9);
        $too_long->(qq{the variable "LONG_ONE" has $more bytes, but $most are the most}, q{the caller's environment}, exec => ['true']);
    }
    my $count = 200;
    $too_long->('its arguments and its environment have ' . (5 + $count * 100_001 + 4) . ' bytes, more than RLIMIT_STACK allows', 'all of them', exec => [ 'true', ('x' x 100_000) x $count ], env => { A => 1 });
}

is children(), 0, 'no child is left';
is $state->(), $at_start, 'no stack, descriptor or child more than at the start';

done_testing;
