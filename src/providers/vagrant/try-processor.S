# What a boot sector does to learn whether a processor does all that an operating system needs on its way up: protected
# mode, an interrupt and the return from it, pages, long mode, an interrupt there. At the end it writes 0x31 to the port
# of QEMU's isa-debug-exit, and QEMU ends with exit status 0x31 * 2 + 1 = 99. Where the processor fails, it never gets there.
#
#   as --64 -o try.o try-processor.S && ld -Ttext 0x7c00 --oformat binary -o try.bin try.o
        .code16
        .globl  _start
_start: cli
        xorw    %ax, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movw    $0x7c00, %sp
        lgdt    gdtr
        movl    %cr0, %eax
        orb     $1, %al
        movl    %eax, %cr0
        ljmp    $0x08, $protected

        .code32
protected:
        movw    $0x10, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movl    $0x7c00, %esp
        # An interrupt gate for vector 0x30, in a table at 0x5000.
        movl    $0x00080000 + returning, 0x5180
        movl    $0x00008e00, 0x5184
        lidt    idtr
        int     $0x30
        # 2 MiB pages for the first GiB: tables at 0x1000, 0x2000, 0x3000.
        xorl    %eax, %eax
        movl    $0x1000, %edi
        movl    $0x0c00, %ecx
        rep stosl
        movl    $0x2003, 0x1000
        movl    $0x3003, 0x2000
        movl    $0x3000, %edi
        movl    $0x83, %eax
        movl    $512, %ecx
1:      movl    %eax, (%edi)
        addl    $0x200000, %eax
        addl    $8, %edi
        loop    1b
        movl    %cr4, %eax
        orb     $0x20, %al
        movl    %eax, %cr4
        movl    $0x1000, %eax
        movl    %eax, %cr3
        movl    $0xc0000080, %ecx
        rdmsr
        orb     $1, %ah
        wrmsr
        movl    %cr0, %eax
        orl     $0x80000000, %eax
        movl    %eax, %cr0
        ljmp    $0x18, $long
returning:
        iret

        .code64
long:   movl    $0x00180000 + returning64, %eax
        movl    $0x5300, %edi
        movl    %eax, (%rdi)
        movl    $0x00008e00, 4(%rdi)
        movl    $0, 8(%rdi)
        int     $0x30
        movb    $0x31, %al
        outb    %al, $0xf4
1:      hlt
        jmp     1b
returning64:
        iretq

        .balign 8
gdt:    .quad   0
        .quad   0x00cf9a000000ffff
        .quad   0x00cf92000000ffff
        .quad   0x00af9a000000ffff
gdtr:   .word   31
        .long   gdt
idtr:   .word   0x3ff
        .long   0x5000
        .org    510
        .word   0xaa55
