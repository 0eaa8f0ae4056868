import { expect } from 'chai';
import { slots } from '../../src/ssh/slots.js';

const never = new AbortController().signal;

describe('ssh/slots', () => {
  it('lets no more in than there are, and serves in order', async () => {
    const two = slots(2);
    const order: number[] = [];
    let inside = 0;
    let most = 0;
    await Promise.all(
      Array.from({ length: 10 }, async (_, index) => {
        const giveBack = await two.take(never);
        order.push(index);
        inside += 1;
        most = Math.max(most, inside);
        await new Promise((resolve) => setImmediate(resolve));
        inside -= 1;
        giveBack?.();
        giveBack?.();
      }),
    );
    expect(most).to.equal(2);
    expect(order).to.deep.equal([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it('forgets who gave up waiting', async () => {
    const one = slots(1);
    const held = await one.take(never);
    const impatient = new AbortController();
    const waiting = one.take(impatient.signal);
    const patient = one.take(never);
    impatient.abort();
    expect(await waiting).to.equal(null);
    held?.();
    expect(await patient).to.be.a('function');
    expect(await one.take(AbortSignal.abort())).to.equal(null);
  });
});
